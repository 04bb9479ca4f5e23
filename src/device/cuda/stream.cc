#include "device/cuda/stream.h"

#include "device/cuda/check.h"

namespace vortex::cuda {

Stream make_stream() {
  cudaStream_t stream = nullptr;
  VORTEX_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return Stream(stream);
}

Event make_event(bool timing) {
  cudaEvent_t event = nullptr;
  VORTEX_CUDA_CHECK(cudaEventCreateWithFlags(&event, timing ? cudaEventDefault : cudaEventDisableTiming));
  return Event(event);
}

Graph capture(cudaStream_t stream, FunctionRef<void()> work) {
  cudaGraph_t graph = nullptr;
  VORTEX_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(stream, &graph);  // else the stream stays in capture mode
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  VORTEX_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
  return Graph(executable);
}

}  // namespace vortex::cuda

// Streams, events and graphs that free themselves.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <type_traits>

#include "base/function_ref.h"

namespace vortex::cuda {

struct HandleDeleter {
  void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
  void operator()(cudaGraphExec_t graph) const { cudaGraphExecDestroy(graph); }
};
template <class Handle>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, HandleDeleter>;
using Stream = Owned<cudaStream_t>;
using Event = Owned<cudaEvent_t>;
using Graph = Owned<cudaGraphExec_t>;

/// A stream that does not wait for the default one.
Stream make_stream();
/// `timing`: for cudaEventElapsedTime; without it waiting is cheaper.
Event make_event(bool timing = false);
/// What `work` queues on `stream`, ready to launch as one. `work` runs once, must not wait for the device and must not
/// allocate there.
Graph capture(cudaStream_t stream, FunctionRef<void()> work);

}  // namespace vortex::cuda

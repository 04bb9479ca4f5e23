#include "device/cuda/timing.h"

#include <utility>
#include <vector>

#include "base/median.h"
#include "device/cuda/memory.h"
#include "device/cuda/stream.h"

namespace vortex::cuda {
namespace {

constexpr int kWarmUps = 2, kRepeats = 9;

float run_ms(cudaStream_t stream, const Event& begin, const Event& end, FunctionRef<void()> work) {
  VORTEX_CUDA_CHECK(cudaEventRecord(begin.get(), stream));
  work();
  VORTEX_CUDA_CHECK(cudaEventRecord(end.get(), stream));
  VORTEX_CUDA_CHECK(cudaEventSynchronize(end.get()));
  float ms = 0.0f;
  VORTEX_CUDA_CHECK(cudaEventElapsedTime(&ms, begin.get(), end.get()));
  return ms;
}

}  // namespace

double median_us(cudaStream_t stream, FunctionRef<void()> work) {
  const Event begin = make_event(true), end = make_event(true);
  for (int i = 0; i < kWarmUps; ++i) run_ms(stream, begin, end, work);
  std::vector<double> times(kRepeats);
  for (double& time : times) time = run_ms(stream, begin, end, work);
  return 1e3 * median(std::move(times));
}

double copy_rate(cudaStream_t stream, int64_t bytes) {
  const DeviceArray<std::byte> from(bytes), to(bytes);
  const auto copy = [&] {
    VORTEX_CUDA_CHECK(
        cudaMemcpyAsync(to.data(), from.data(), static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, stream));
  };
  return 2.0 * static_cast<double>(bytes) / median_us(stream, copy);
}

}  // namespace vortex::cuda

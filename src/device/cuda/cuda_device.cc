#include "device/cuda/cuda_device.h"

#include <fmt/core.h>

#include "device/cuda/memory.h"

namespace vortex::cuda {
namespace {

class GpuBuffer final : public device::Buffer {
 public:
  explicit GpuBuffer(DeviceArray<std::byte> memory)
      : Buffer(memory.data(), memory.bytes()), memory_(std::move(memory)) {}

 private:
  DeviceArray<std::byte> memory_;
};

class CudaDevice final : public device::Device {
 public:
  std::string_view name() const override { return "cuda"; }

  Result<std::unique_ptr<device::Buffer>> allocate(int64_t bytes) override {
    return guard([&]() -> Result<std::unique_ptr<device::Buffer>> {
      DeviceArray<std::byte> memory(bytes);
      VORTEX_CUDA_CHECK(cudaMemset(memory.data(), 0, static_cast<size_t>(bytes)));
      return std::unique_ptr<device::Buffer>(std::make_unique<GpuBuffer>(std::move(memory)));
    });
  }

  Status clear(std::byte* data, int64_t bytes) override {
    return guard([&]() -> Status {
      VORTEX_CUDA_CHECK(cudaDeviceSynchronize());  // other streams do not wait for this one
      VORTEX_CUDA_CHECK(cudaMemset(data, 0, static_cast<size_t>(bytes)));
      return {};
    });
  }
};

}  // namespace

Result<DeviceProperties> open_first_device() { return open_device(0); }

int visible_devices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

Result<DeviceProperties> open_device(int ordinal) {
  return guard([&]() -> Result<DeviceProperties> {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0)
      return Error{ErrorCode::kUnavailable, "--device",
                   fmt::format("no GPU: {}", status == cudaSuccess ? "none is visible" : cudaGetErrorString(status)),
                   "look at nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu"};
    VORTEX_CUDA_CHECK(cudaSetDevice(ordinal));
    cudaDeviceProp raw{};
    VORTEX_CUDA_CHECK(cudaGetDeviceProperties(&raw, ordinal));
    if (raw.major < 8)
      return Error{
          ErrorCode::kUnsupported, "--device",
          fmt::format("{} has compute capability {}.{}, at least 8.0 is needed", raw.name, raw.major, raw.minor),
          "use --device cpu"};
    size_t free = 0, total = 0;
    VORTEX_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return DeviceProperties{raw.name,
                            ordinal,
                            raw.major,
                            raw.minor,
                            raw.multiProcessorCount,
                            static_cast<int64_t>(total),
                            static_cast<int64_t>(free)};
  });
}

std::unique_ptr<device::Device> make_cuda_device() { return std::make_unique<CudaDevice>(); }

}  // namespace vortex::cuda

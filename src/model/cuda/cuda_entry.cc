// What libvortex_cuda.so exports.
#include "model/cuda_entry.h"

#include <fmt/core.h>

#include "attention/cuda/time_decode.h"
#include "comm/cuda/device_communicator.h"
#include "device/cuda/cuda_device.h"
#include "model/cuda/cuda_runner.h"

namespace vortex::cuda {
namespace {

Result<DeviceProperties> open_gpu(const model::GpuPlace& place) {
  const int gpus = visible_devices();
  if (gpus == 0) return open_first_device();  // says why
  if (!place.shared && place.rank.ranks > gpus)
    return Error{
        ErrorCode::kUnsupported, "--tensor-parallel-size",
        fmt::format("{} ranks on this host, but {} GPU{} visible", place.rank.ranks, gpus, gpus == 1 ? " is" : "s are"),
        "choose fewer ranks; VORTEX_CUDA_RANKS=host lets them share GPUs, to check what they compute"};
  return open_device(place.rank.index % gpus);
}

/// How many ranks take the GPU of `place`.
int sharers_of(const model::GpuPlace& place) {
  const int gpus = visible_devices(), gpu = place.rank.index % gpus;
  return (place.rank.ranks - gpu + gpus - 1) / gpus;
}

std::unique_ptr<DeviceCommunicator> meet(const model::CudaRunnerOptions& options) {
  if (options.ranks == nullptr) return nullptr;
  return options.place.shared ? host_communicator(options.ranks) : nccl_communicator(options.ranks);
}

Result<std::string> open_device_of(const model::GpuPlace& place) {
  VORTEX_ASSIGN_OR_RETURN(const DeviceProperties properties, open_gpu(place));
  return properties.name;
}

Result<std::unique_ptr<model::Runner>> create(const model::CudaRunnerOptions& options, ModelFiles& files) {
  return guard([&]() -> Result<std::unique_ptr<model::Runner>> {
    if (options.kv_dtype != DType::kBF16 && options.kv_dtype != DType::kF8E4M3)
      return Error{ErrorCode::kUnsupported, "--kv-cache-dtype", "keys and values are bfloat16 or fp8_e4m3 on a GPU",
                   "leave it out, or take fp8_e4m3"};
    VORTEX_ASSIGN_OR_RETURN(const DeviceProperties properties, open_gpu(options.place));
    return std::unique_ptr<model::Runner>(
        std::make_unique<CudaRunner>(properties, files, options.kv_dtype, meet(options), sharers_of(options.place)));
  });
}

}  // namespace
}  // namespace vortex::cuda

extern "C" __attribute__((visibility("default"))) vortex::model::CudaEntry* vortex_cuda_entry() {
  static vortex::model::CudaEntry entry{VORTEX_VERSION, vortex::cuda::open_device_of, vortex::cuda::create,
                                        vortex::cuda::time_decode};
  return &entry;
}

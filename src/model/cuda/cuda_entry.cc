// What libvortex_cuda.so exports.
#include "model/cuda_entry.h"

#include "device/cuda/cuda_device.h"
#include "model/cuda/cuda_runner.h"

namespace vortex::cuda {
namespace {

Result<std::string> open_device() {
  VORTEX_ASSIGN_OR_RETURN(const DeviceProperties properties, open_first_device());
  return properties.name;
}

Result<std::unique_ptr<model::Runner>> create(const model::CudaRunnerOptions& options, ModelFiles& files) {
  return guard([&]() -> Result<std::unique_ptr<model::Runner>> {
    if (options.kv_dtype != DType::kBF16 && options.kv_dtype != DType::kF8E4M3)
      return Error{ErrorCode::kUnsupported, "--kv-cache-dtype", "keys and values are bfloat16 or fp8_e4m3 on a GPU",
                   "leave it out, or take fp8_e4m3"};
    VORTEX_ASSIGN_OR_RETURN(const DeviceProperties properties, open_first_device());
    return std::unique_ptr<model::Runner>(std::make_unique<CudaRunner>(properties, files, options.kv_dtype));
  });
}

}  // namespace
}  // namespace vortex::cuda

extern "C" __attribute__((visibility("default"))) vortex::model::CudaEntry* vortex_cuda_entry() {
  static vortex::model::CudaEntry entry{VORTEX_VERSION, vortex::cuda::open_device, vortex::cuda::create};
  return &entry;
}

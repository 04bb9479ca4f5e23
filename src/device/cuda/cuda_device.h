// The GPU as a Device: where KV pages are allocated.
#pragma once

#include <memory>
#include <string>

#include "device/device.h"

namespace vortex::cuda {

/// What kernels are chosen and sized by.
struct DeviceProperties {
  std::string name;
  int ordinal = 0;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  int64_t memory_bytes = 0, free_bytes = 0;
};

/// Makes the first visible GPU (CUDA_VISIBLE_DEVICES) current for this thread and says what it is. kUnavailable without
/// a GPU or driver, kUnsupported below compute capability 8.0.
Result<DeviceProperties> open_first_device();
/// The same of the visible GPU `ordinal`, which is there.
Result<DeviceProperties> open_device(int ordinal);
/// 0 without a GPU or driver.
int visible_devices();

/// Memory of the current GPU. A buffer is zero when it is handed out.
std::unique_ptr<device::Device> make_cuda_device();

}  // namespace vortex::cuda

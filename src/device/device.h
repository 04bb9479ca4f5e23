// Device: where memory lives and kernels run. The CPU is one; CUDA joins through its own library at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace vortex::device {

/// Memory of a device, freed with the object. Zero-filled at allocation, aligned to 4096 bytes.
class Buffer {
 public:
  virtual ~Buffer() = default;
  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 protected:
  Buffer(std::byte* data, int64_t bytes) : data_(data), bytes_(bytes) {}

 private:
  std::byte* data_;
  int64_t bytes_;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string_view name() const = 0;
  /// kResourceExhausted when the device has no room.
  virtual Result<std::unique_ptr<Buffer>> allocate(int64_t bytes) = 0;
  /// Zeros a part of a buffer, when all work that was queued before is done.
  virtual Status clear(std::byte* data, int64_t bytes) = 0;
};

/// Host memory in large pages where the kernel grants them; physical memory is taken at first touch.
std::unique_ptr<Device> make_cpu_device();

}  // namespace vortex::device

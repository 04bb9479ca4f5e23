#include <sys/mman.h>

#include <cstring>

#include "device/device.h"

namespace vortex::device {
namespace {

constexpr int64_t kHugePageThreshold = int64_t{32} << 20;

class MappedBuffer final : public Buffer {
 public:
  MappedBuffer(std::byte* data, int64_t bytes) : Buffer(data, bytes) {}
  ~MappedBuffer() override { munmap(data(), static_cast<size_t>(bytes())); }
};

class CpuDevice final : public Device {
 public:
  std::string_view name() const override { return "cpu"; }

  Result<std::unique_ptr<Buffer>> allocate(int64_t bytes) override {
    VORTEX_CHECK(bytes > 0, "allocation of {} bytes", bytes);
    // MAP_NORESERVE: a pool is sized for the longest contexts, and only what is written should count.
    void* data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
      return Error{ErrorCode::kResourceExhausted, "cpu memory", fmt::format("cannot map {} bytes", bytes),
                   "lower --kv-cache-memory-bytes or --max-model-len"};
    }
    // Long contexts want few TLB misses; a small pool would only waste the tail of each large page.
    if (bytes >= kHugePageThreshold) madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);
    return std::unique_ptr<Buffer>(std::make_unique<MappedBuffer>(static_cast<std::byte*>(data), bytes));
  }

  Status clear(std::byte* data, int64_t bytes) override {
    std::memset(data, 0, static_cast<size_t>(bytes));
    return {};
  }
};

}  // namespace

std::unique_ptr<Device> make_cpu_device() { return std::make_unique<CpuDevice>(); }

}  // namespace vortex::device

#include "fuzz/fuzz_target.h"

#include <cstdint>

namespace vortex::fuzz {

void touch(std::span<const std::byte> bytes) {
  volatile uint8_t sink = 0;
  for (std::byte byte : bytes) sink = static_cast<uint8_t>(sink ^ static_cast<uint8_t>(byte));
}

}  // namespace vortex::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vortex::fuzz::run_target(std::as_bytes(std::span(data, size)));
  return 0;
}

// A decode step that is no larger than one before takes no memory.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "support/decoder_rig.h"

namespace {
std::atomic<int64_t> allocations{0};
}

// Not inlined: g++ 12 takes the pair for a mismatch of new and free.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace vortex::testing {
namespace {

class StepAllocationTest : public ::testing::TestWithParam<const char*> {};

TEST_P(StepAllocationTest, AWarmDecodeStepAllocatesNothing) {
  DecoderRig rig(fmt::format("{}/tests/data/tiny/{}", VORTEX_SOURCE_DIR, GetParam()), RigBackend::kCpu, DType::kF32);
  int64_t grown = 0;
  rig.watch(&allocations, &grown);
  const auto decode_some = [&] {
    rig.restart();
    for (int32_t id = 1; id <= 40; ++id) rig.decode(id);
  };
  decode_some();
  EXPECT_GT(grown, 0) << "nothing is counted";
  grown = 0;
  decode_some();
  EXPECT_EQ(grown, 0);
}

INSTANTIATE_TEST_SUITE_P(Families, StepAllocationTest,
                         ::testing::Values("llama", "qwen3", "gemma3_text", "deepseek_v2", "qwen3_moe"),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace vortex::testing

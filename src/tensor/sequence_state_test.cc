#include "tensor/sequence_state.h"

#include <gtest/gtest.h>

namespace vortex {
namespace {

TEST(SequenceState, StepsReadWhatTheLastOneWroteAndGrowthKeepsIt) {
  SequenceState state;
  const std::vector<int64_t> bytes = {2, 4};
  for (int step = 0; step < 5; ++step) {
    SequenceState::Layer& layer = state.layer(3);
    const int64_t pages = 200 * (step + 1);
    layer.prepare(bytes, 2, pages);
    EXPECT_EQ(layer.saved_pages(), 200 * step);
    for (int slot = 0; slot < 2; ++slot) {
      for (int head = 0; head < 2; ++head) {
        const auto mark = [&](int s) { return static_cast<std::byte>(s * 4 + slot * 2 + head + 1); };
        const int64_t size = bytes[static_cast<size_t>(slot)];
        for (int64_t i = 0; i < layer.saved_pages() * size; ++i) ASSERT_EQ(layer.before(slot, head)[i], mark(step - 1));
        for (int64_t i = 0; i < pages * size; ++i) layer.after(slot, head)[i] = mark(step);
      }
    }
    layer.finish(pages);
  }
  EXPECT_EQ(state.layer(0).saved_pages(), 0);
}

}  // namespace
}  // namespace vortex

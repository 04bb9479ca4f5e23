// Windows, skipped tokens and sinks, over keys and values of their own and over latents. One body for every
// implementation.
#include <gtest/gtest.h>

#include "attention/backends_testing.h"
#include "attention/latent_testing.h"

namespace vortex::attention {
namespace {

std::vector<PoolShape> shapes() {
  return {{.kv_heads = 2, .group = 1, .head_dim = 32},
          {.kv_heads = 2, .group = 4, .head_dim = 64, .pages_per_slab = 2, .dtype = DType::kF32},
          {.kv_heads = 1, .group = 5, .head_dim = 20},
          {.kv_heads = 1, .group = 8, .head_dim = 40, .latent_rank = 24},
          {.kv_heads = 1, .group = 20, .head_dim = 24, .page_tokens = 32, .latent_rank = 16},
          {.kv_heads = 2, .group = 3, .head_dim = 64, .pages_per_slab = 2, .dtype = DType::kCode8},
          {.kv_heads = 1, .group = 8, .head_dim = 40, .dtype = DType::kCode8, .latent_rank = 24}};
}

class WindowAttentionTest : public testing::TestWithParam<Backend> {
 protected:
  std::unique_ptr<AttentionOps> ops_ = GetParam().make();
};
INSTANTIATE_TEST_SUITE_P(Backends, WindowAttentionTest, testing::ValuesIn(backends()),
                         [](const auto& test) { return test.param.name; });

TEST_P(WindowAttentionTest, PrefillSeesTheWindowAndNoMore) {
  for (const PoolShape& shape : shapes()) {
    Stored stored(*ops_, shape, {330});
    for (const int window : {1, 16, 100, 127, 128, 129, 200, 330, 5000}) {
      SCOPED_TRACE(window);
      stored.attention.window = window;
      stored.expect_prefill(0, 0, stored.prefill(*ops_, 0, 0, 20));
      stored.expect_prefill(0, 240, stored.prefill(*ops_, 0, 240, 90));
    }
  }
}

TEST_P(WindowAttentionTest, WindowedPrefillReadsNothingOlder) {
  // 700 tokens in blocks of 128 with a window of 150: whole blocks are skipped. Poison shows a read that counts.
  Stored stored(*ops_, {.kv_heads = 1, .group = 3, .head_dim = 32, .dtype = DType::kF32}, {700});
  stored.attention.window = 150;
  const std::vector<float> clean = stored.prefill(*ops_, 0, 600, 100);
  stored.expect_prefill(0, 600, clean);
  const std::vector<float> poison(384 * 32, NAN);
  ops_->store(stored.pool.view(), {stored.pool.table(0), 0, 384}, poison.data(), poison.data(), 32);
  EXPECT_EQ(stored.prefill(*ops_, 0, 600, 100), clean);
}

TEST_P(WindowAttentionTest, DecodeSkipsTheFirstTokensOfTheFirstPage) {
  for (const PoolShape& shape : shapes()) {
    const Stored stored(*ops_, shape, {1, 50, 1200});
    for (const int window : {1, 2, 15, 16, 17, 49, 50, 700, 1199, 5000}) {
      SCOPED_TRACE(window);
      PageList list;
      list_window_pages(stored.pool.step(), stored.pool.view(), window, &list);
      const std::vector<float> out = stored.decode(*ops_, list);
      for (size_t i = 0; i < 3; ++i)
        stored.expect_decode(i, seen_from(stored.length(i) - 1, window),
                             out.data() + static_cast<int64_t>(i) * shape.out_stride());
    }
  }
}

TEST_P(WindowAttentionTest, SinksTakeWeight) {
  for (const PoolShape& shape : shapes()) {
    Stored stored(*ops_, shape, {1, 40, 1100});
    stored.add_sinks();
    const std::vector<float> out = stored.decode(*ops_, stored.pool.all_pages());
    for (size_t i = 0; i < 3; ++i)
      stored.expect_decode(i, token_range(0, stored.length(i)),
                           out.data() + static_cast<int64_t>(i) * shape.out_stride());
    stored.expect_prefill(1, 0, stored.prefill(*ops_, 1, 0, 40));
    stored.attention.window = 130;
    stored.expect_prefill(2, 1000, stored.prefill(*ops_, 2, 1000, 30));
  }
}

TEST_P(WindowAttentionTest, ASinkFarAboveAllLogitsLeavesNothing) {
  Stored stored(*ops_, shapes()[0], {600});
  stored.sinks.assign(2, 200.0f);
  stored.attention.sinks = stored.sinks.data();
  for (const float x : stored.decode(*ops_, stored.pool.all_pages())) EXPECT_EQ(x, 0.0f);
  for (const float x : stored.prefill(*ops_, 0, 500, 100)) EXPECT_EQ(x, 0.0f);
}

// Not of the reference, whose rows know nothing of each other.
TEST(CpuWindowAttentionTest, ChunksOfAWindowedPrefillGiveTheBitsOfTheWhole) {
  for (const Isa isa : available_isas()) {
    PooledOps ops(isa, 2);
    for (const PoolShape& shape : {shapes()[1], shapes()[3]}) {
      for (const bool sinks : {false, true}) {
        Stored stored(ops, shape, {400});
        if (sinks) stored.add_sinks();
        for (const int window : {1, 50, 128, 200}) {
          stored.attention.window = window;
          const std::vector<float> whole = stored.prefill(ops, 0, 0, 400);
          for (const int64_t chunk : {1, 37, 128, 300}) {
            for (int64_t first = 0; first < 400; first += chunk) {
              const std::vector<float> part = stored.prefill(ops, 0, first, std::min<int64_t>(chunk, 400 - first));
              ASSERT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + first * shape.out_stride()))
                  << isa_name(isa) << " window " << window << " chunk of " << chunk << " at " << first;
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace vortex::attention

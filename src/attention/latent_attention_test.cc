// Latent pages: one field, keys and values of different widths in the same memory. One body for every implementation.
#include <gtest/gtest.h>

#include <random>

#include "attention/backends_testing.h"
#include "attention/latent_testing.h"

namespace vortex::attention {
namespace {

PoolShape latents(int group, int width = 576, int rank = 512) {
  return {.kv_heads = 1, .group = group, .head_dim = width, .latent_rank = rank};
}

std::string name_of(const PoolShape& s) {
  return "group " + std::to_string(s.group) + " width " + std::to_string(s.head_dim) + " rank " +
         std::to_string(s.latent_rank) + " page " + std::to_string(s.page_tokens) + "x" +
         std::to_string(s.pages_per_slab) + " " + std::string(dtype_info(s.dtype).name);
}

std::vector<PoolShape> shapes() {
  std::vector<PoolShape> all;
  for (const int group : {1, 2, 4, 8, 20, 128}) all.push_back(latents(group));
  for (const int group : {1, 3, 4, 7, 16, 128}) all.push_back(latents(group, 40, 24));
  for (const auto& [width, rank] : {std::pair{96, 64}, {33, 32}, {20, 12}, {72, 72}, {100, 50}})
    all.push_back(latents(5, width, rank));
  for (const int page : {4, 32, 64}) {
    all.push_back(latents(8, 96, 64));
    all.back().page_tokens = page;
    all.back().pages_per_slab = 2;
  }
  for (size_t i = 0, n = all.size(); i < n; ++i) {
    for (const DType dtype : {DType::kF32, DType::kCode8}) {
      all.push_back(all[i]);
      all.back().dtype = dtype;
    }
  }
  return all;
}

class LatentAttentionTest : public testing::TestWithParam<Backend> {
 protected:
  std::unique_ptr<AttentionOps> ops_ = GetParam().make();
};
INSTANTIATE_TEST_SUITE_P(Backends, LatentAttentionTest, testing::ValuesIn(backends()),
                         [](const auto& test) { return test.param.name; });

TEST_P(LatentAttentionTest, LoadGivesBackWhatWasStored) {
  for (const PoolShape& shape : shapes()) {
    SCOPED_TRACE(name_of(shape));
    const Stored stored(*ops_, shape, {75});
    for (const int cols : {shape.latent_rank, shape.head_dim, 1}) {
      for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 75}, {13, 60}, {74, 1}}) {
        std::vector<float> out(static_cast<size_t>(count * cols + 1), NAN);
        ops_->load(stored.pool.view(), {stored.pool.table(0), first, count}, cols, out.data());
        for (int64_t i = 0; i < count * cols; ++i) {
          const auto at = static_cast<size_t>((first + i / cols) * shape.head_dim + i % cols);
          ASSERT_EQ(out[static_cast<size_t>(i)], stored.k[0][at]) << cols << " columns, " << i;
        }
        ASSERT_TRUE(std::isnan(out.back()));
      }
    }
  }
}

TEST_P(LatentAttentionTest, DecodeMatchesTheFormula) {
  for (const PoolShape& shape : shapes()) {
    SCOPED_TRACE(name_of(shape));
    const Stored stored(*ops_, shape, {1, 70, 32});
    const std::vector<float> out = stored.decode(*ops_, stored.pool.all_pages());
    for (size_t i = 0; i < 3; ++i)
      stored.expect_decode(i, token_range(0, stored.length(i)),
                           out.data() + static_cast<int64_t>(i) * shape.out_stride());
  }
}

TEST_P(LatentAttentionTest, DecodeOfALongRowMatchesTheFormula) {
  for (const int group : {4, 9}) {
    const Stored stored(*ops_, latents(group, 96, 64), {1700});
    stored.expect_decode(0, token_range(0, 1700), stored.decode(*ops_, stored.pool.all_pages()).data());
  }
}

TEST_P(LatentAttentionTest, TheOrderOfThePagesDoesNotMatter) {
  const Stored stored(*ops_, latents(20), {900});
  PageList list = stored.pool.all_pages();
  const std::vector<float> in_order = stored.decode(*ops_, list);
  std::shuffle(list.pages.begin(), list.pages.end() - 1, std::mt19937(5));
  const std::vector<float> shuffled = stored.decode(*ops_, list);
  for (size_t i = 0; i < in_order.size(); ++i) ASSERT_NEAR(in_order[i], shuffled[i], 2e-6) << i;
}

TEST_P(LatentAttentionTest, AListReadsOnlyItsPages) {
  const Stored stored(*ops_, latents(8), {150});
  const PageView& view = stored.pool.view();
  PageList list{.offsets = {0, 3}, .last_tokens = {6}};
  for (const int page : {4, 1, 9}) list.pages.push_back(view.page_id(stored.pool.table(0), page, 0));
  std::vector<int64_t> tokens = token_range(16, 32);
  for (const int64_t t : token_range(64, 80)) tokens.push_back(t);
  for (const int64_t t : token_range(144, 150)) tokens.push_back(t);
  stored.expect_decode(0, tokens, stored.decode(*ops_, list).data());
}

TEST_P(LatentAttentionTest, ARowAloneHasTheBitsItHasInABatch) {
  for (const PoolShape& shape : {latents(8), latents(20, 96, 64), latents(3, 40, 24)}) {
    Stored stored(*ops_, shape, {300, 1500, 17});
    stored.add_sinks();
    PageList list;
    list_window_pages(stored.pool.step(), stored.pool.view(), 1100, &list);
    const std::vector<float> together = stored.decode(*ops_, list);
    for (int r = 0; r < list.rows(); ++r) {
      std::vector<float> alone(static_cast<size_t>(shape.out_stride()));
      ops_->decode(stored.pool.view(), one_row(list, r), stored.attention,
                   &stored.q[static_cast<size_t>(r)].end()[-shape.q_stride()], alone.data());
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + r * shape.out_stride())) << "row " << r;
    }
  }
}

TEST_P(LatentAttentionTest, PrefillMatchesTheFormula) {
  for (const PoolShape& shape : shapes()) {
    SCOPED_TRACE(name_of(shape));
    const Stored stored(*ops_, shape, {11, 40});
    stored.expect_prefill(0, 0, stored.prefill(*ops_, 0, 0, 11));
    stored.expect_prefill(1, 33, stored.prefill(*ops_, 1, 33, 7));
  }
}

TEST_P(LatentAttentionTest, PrefillAfterALongContextMatchesTheFormula) {
  for (const int group : {1, 8, 20}) {
    const Stored stored(*ops_, latents(group, 96, 64), {420});
    stored.expect_prefill(0, 370, stored.prefill(*ops_, 0, 370, 50));
  }
}

TEST_P(LatentAttentionTest, ChunksOfAPrefillGiveTheBitsOfTheWhole) {
  const Stored stored(*ops_, latents(8, 72, 48), {300});
  const std::vector<float> whole = stored.prefill(*ops_, 0, 0, 300);
  for (const int64_t chunk : {1, 64, 100}) {
    for (int64_t first = 0; first < 300; first += chunk) {
      const std::vector<float> part = stored.prefill(*ops_, 0, first, std::min<int64_t>(chunk, 300 - first));
      ASSERT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + first * stored.shape.out_stride()))
          << "chunk of " << chunk << " at " << first;
    }
  }
}

TEST_P(LatentAttentionTest, PrefillOfTheLastTokenAgreesWithDecode) {
  Stored stored(*ops_, latents(8), {700});
  stored.add_sinks();
  const std::vector<float> decoded = stored.decode(*ops_, stored.pool.all_pages());
  const std::vector<float> prefilled = stored.prefill(*ops_, 0, 699, 1);
  for (size_t i = 0; i < decoded.size(); ++i) ASSERT_NEAR(decoded[i], prefilled[i], 2e-6) << i;
}

TEST_P(LatentAttentionTest, HugeLogitsDoNotOverflow) {
  Stored stored(*ops_, latents(8, 40, 24), {200});
  stored.attention.scale = 300.0f;
  const std::vector<float> decoded = stored.decode(*ops_, stored.pool.all_pages());
  const std::vector<float> prefilled = stored.prefill(*ops_, 0, 199, 1);
  stored.expect_decode(0, token_range(0, 200), decoded.data());
  stored.expect_token(0, 199, token_range(0, 200), prefilled.data());
}

TEST(CpuLatentAttentionTest, ResultsDoNotDependOnTheNumberOfThreads) {
  for (const Isa isa : available_isas()) {
    PooledOps one(isa, 1), many(isa, 5);
    const Stored stored(one, latents(20, 96, 64), {1300, 40});
    const PageList list = stored.pool.all_pages();
    EXPECT_EQ(stored.decode(one, list), stored.decode(many, list)) << isa_name(isa);
    EXPECT_EQ(stored.prefill(one, 0, 1200, 100), stored.prefill(many, 0, 1200, 100)) << isa_name(isa);
  }
}

}  // namespace
}  // namespace vortex::attention

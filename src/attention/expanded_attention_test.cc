// Prefill with keys and values made from latents. One body for every implementation.
#include <gtest/gtest.h>

#include "attention/backends_testing.h"
#include "attention/latent_testing.h"

namespace vortex::attention {
namespace {

struct HeadShape {
  int heads, nope, rope, v_dim;
  int key_dim() const { return nope + rope; }
  int made() const { return nope + v_dim; }
};

/// One sequence of latents, and keys and values for its heads. They need not fit the latents: nothing checks it.
struct ExpandedSequence {
  ExpandedSequence(AttentionOps& ops, const HeadShape& h, int latent_rank, int64_t tokens, DType type)
      : shape(h),
        rank(latent_rank),
        length(tokens),
        pool({.kv_heads = 1, .head_dim = rank + h.rope, .dtype = type, .latent_rank = rank}, {tokens}),
        attention{.scale = 1.0f / std::sqrt(static_cast<float>(h.key_dim())), .latent_rank = rank},
        latents(random_floats(tokens * (rank + h.rope), 1)),
        made(random_floats(tokens * made_stride(), 2)),
        q(random_floats(tokens * q_stride(), 3)),
        sinks(random_floats(h.heads, 4)) {
    ops.store(pool.view(), {pool.table(0), 0, tokens}, latents.data(), nullptr, rank + h.rope);
    latents = as_stored(type, latents, rank + h.rope);
  }

  // With gaps between tokens, so that a stride taken for a width shows.
  int64_t made_stride() const { return int64_t{shape.heads} * shape.made() + 3; }
  int64_t q_stride() const { return int64_t{shape.heads} * shape.key_dim() + 5; }
  int64_t out_stride() const { return int64_t{shape.heads} * shape.v_dim + 7; }

  std::vector<float> prefill(AttentionOps& ops, int64_t first, int64_t count) const {
    std::vector<float> out(static_cast<size_t>(count * out_stride()), 77.0f);
    ops.prefill_expanded(pool.view(), {pool.table(0), first, count}, attention,
                         {made.data(), made_stride(), shape.heads, shape.nope, shape.v_dim},
                         q.data() + first * q_stride(), q_stride(), out.data(), out_stride());
    return out;
  }

  /// Keys and values of a head written out, then the formula; rope columns are as the pool rounds them.
  std::vector<double> expected(int64_t query, int head) const {
    const int width = std::max(shape.key_dim(), shape.v_dim);
    std::vector<float> k(static_cast<size_t>(length * width)), v(k.size());
    for (int64_t t = 0; t < length; ++t) {
      const float* from = made.data() + t * made_stride() + int64_t{head} * shape.made();
      float* key = k.data() + t * width;
      std::copy(from, from + shape.nope, key);
      for (int d = 0; d < shape.rope; ++d)
        key[shape.nope + d] = latents[static_cast<size_t>(t * (rank + shape.rope) + rank + d)];
      std::copy(from + shape.nope, from + shape.made(), v.data() + t * width);
    }
    std::vector<float> padded_q(static_cast<size_t>(width));
    const float* from = q.data() + query * q_stride() + int64_t{head} * shape.key_dim();
    std::copy(from, from + shape.key_dim(), padded_q.begin());
    return direct_attention(padded_q.data(), k.data(), v.data(), width, seen_from(query, attention.window), width,
                            attention.scale, attention.sinks != nullptr ? attention.sinks + head : nullptr)
        .out;
  }

  void expect_prefill(int64_t first, const std::vector<float>& out) const {
    for (int64_t t = 0; t * out_stride() < static_cast<int64_t>(out.size()); ++t) {
      const float* at = out.data() + t * out_stride();
      for (int h = 0; h < shape.heads; ++h, at += shape.v_dim) {
        const std::vector<double> right = expected(first + t, h);
        for (int d = 0; d < shape.v_dim; ++d)
          ASSERT_NEAR(right[static_cast<size_t>(d)], at[d], kLatentTolerance)
              << "token " << first + t << " head " << h << " column " << d;
      }
      ASSERT_EQ(at[0], 77.0f) << "written past the last head";
    }
  }

  HeadShape shape;
  int rank;
  int64_t length;
  TestPool pool;
  AttentionShape attention;
  std::vector<float> latents, made, q, sinks;
};

class ExpandedAttentionTest : public testing::TestWithParam<Backend> {
 protected:
  std::unique_ptr<AttentionOps> ops_ = GetParam().make();
};
INSTANTIATE_TEST_SUITE_P(Backends, ExpandedAttentionTest, testing::ValuesIn(backends()),
                         [](const auto& test) { return test.param.name; });

TEST_P(ExpandedAttentionTest, MatchesTheFormula) {
  for (const HeadShape& shape : {HeadShape{8, 32, 64, 32}, {2, 128, 64, 128}, {3, 20, 12, 24}, {1, 5, 3, 17}}) {
    for (const DType dtype : {DType::kBF16, DType::kF32, DType::kCode8}) {
      const ExpandedSequence sequence(*ops_, shape, 40, 150, dtype);
      sequence.expect_prefill(0, sequence.prefill(*ops_, 0, 12));
      sequence.expect_prefill(120, sequence.prefill(*ops_, 120, 30));
    }
  }
}

TEST_P(ExpandedAttentionTest, WindowsAndSinksCount) {
  ExpandedSequence sequence(*ops_, {3, 16, 8, 24}, 32, 300, DType::kBF16);
  sequence.attention.sinks = sequence.sinks.data();
  for (const int window : {0, 1, 100, 128}) {
    sequence.attention.window = window;
    sequence.expect_prefill(270, sequence.prefill(*ops_, 270, 30));
  }
}

TEST_P(ExpandedAttentionTest, ChunksGiveTheBitsOfTheWhole) {
  const ExpandedSequence sequence(*ops_, {3, 20, 12, 24}, 40, 300, DType::kBF16);
  const std::vector<float> whole = sequence.prefill(*ops_, 0, 300);
  for (const int64_t chunk : {1, 64, 100}) {
    for (int64_t first = 0; first < 300; first += chunk) {
      const std::vector<float> part = sequence.prefill(*ops_, first, std::min<int64_t>(chunk, 300 - first));
      ASSERT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + first * sequence.out_stride())) << first;
    }
  }
}

/// [rows, depth] x [cols, depth]^T of one matrix row after another.
std::vector<float> product(const float* x, const std::vector<float>& w, int64_t depth) {
  std::vector<float> out;
  for (size_t row = 0; row < w.size(); row += static_cast<size_t>(depth))
    out.push_back(std::inner_product(x, x + depth, w.begin() + static_cast<int64_t>(row), 0.0f));
  return out;
}

/// Both ways of one model's attention: q through the keys' projection against latents, and the result through the
/// values' projection; or keys and values projected and q as it is.
TEST_P(ExpandedAttentionTest, AbsorbedAndExpandedPrefillAgree) {
  constexpr int kRank = 24, kNope = 10, kRope = 8, kV = 12, kTokens = 60;
  constexpr int kWidth = kRank + kRope;
  ExpandedSequence expanded(*ops_, {1, kNope, kRope, kV}, kRank, kTokens, DType::kF32);
  const std::vector<float> keys = random_floats(kNope * kRank, 11, 0.3f);  // [nope, rank]
  const std::vector<float> values = random_floats(kV * kRank, 12, 0.3f);   // [v, rank]
  std::vector<float> keys_by_column;                                       // [rank, nope]
  for (int c = 0; c < kRank; ++c)
    for (int n = 0; n < kNope; ++n) keys_by_column.push_back(keys[static_cast<size_t>(n * kRank + c)]);
  std::vector<float> absorbed_q;
  for (int t = 0; t < kTokens; ++t) {
    const float* latent = expanded.latents.data() + t * kWidth;
    float* made = expanded.made.data() + t * expanded.made_stride();
    std::ranges::copy(product(latent, keys, kRank), made);
    std::ranges::copy(product(latent, values, kRank), made + kNope);
    const float* q = expanded.q.data() + t * expanded.q_stride();
    std::ranges::copy(product(q, keys_by_column, kNope), std::back_inserter(absorbed_q));
    absorbed_q.insert(absorbed_q.end(), q + kNope, q + kNope + kRope);
  }
  std::vector<float> absorbed(kTokens * kRank);
  ops_->prefill(expanded.pool.view(), {expanded.pool.table(0), 0, kTokens}, expanded.attention, absorbed_q.data(),
                kWidth, absorbed.data(), kRank);
  const std::vector<float> direct = expanded.prefill(*ops_, 0, kTokens);
  for (int t = 0; t < kTokens; ++t) {
    const std::vector<float> out = product(absorbed.data() + t * kRank, values, kRank);
    for (int d = 0; d < kV; ++d)
      ASSERT_NEAR(out[static_cast<size_t>(d)], direct[static_cast<size_t>(t * expanded.out_stride() + d)], 1e-5);
  }
}

TEST(CpuExpandedAttentionTest, ResultsDoNotDependOnTheNumberOfThreads) {
  for (const Isa isa : available_isas()) {
    PooledOps one(isa, 1), many(isa, 5);
    const ExpandedSequence sequence(one, {4, 32, 16, 32}, 64, 400, DType::kBF16);
    EXPECT_EQ(sequence.prefill(one, 100, 300), sequence.prefill(many, 100, 300)) << isa_name(isa);
  }
}

}  // namespace
}  // namespace vortex::attention

// For tests of latent pages, windows and sinks: sequences of one pool, and what attention must give for them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "attention/attention_testing.h"

namespace vortex::attention {

// Logits here are a few units and values at most about five; float32 sums of 576 products then err by a few 1e-6,
// and a token more or less moves a result by 1e-3.
constexpr double kLatentTolerance = 2e-5;

inline std::vector<int64_t> token_range(int64_t begin, int64_t end) {
  std::vector<int64_t> tokens(static_cast<size_t>(end - begin));
  std::iota(tokens.begin(), tokens.end(), begin);
  return tokens;
}

/// The tokens that a query at `position` sees through a window; 0 is none.
inline std::vector<int64_t> seen_from(int64_t position, int window) {
  return token_range(window > 0 ? std::max<int64_t>(0, position + 1 - window) : 0, position + 1);
}

/// Sequences stored in one pool. Keys and values are kept as the pool keeps them; a latent's values are its keys.
struct Stored {
  Stored(AttentionOps& ops, const PoolShape& s, const std::vector<int64_t>& lengths)
      : shape(s), pool(s, lengths), attention(s.attention()) {
    for (size_t i = 0; i < lengths.size(); ++i) {
      const auto seed = static_cast<uint32_t>(3 * i + 1);
      k.push_back(random_floats(lengths[i] * s.kv_stride(), seed));
      v.push_back(latent() ? k.back() : random_floats(lengths[i] * s.kv_stride(), seed + 1));
      q.push_back(random_floats(lengths[i] * s.q_stride(), seed + 2));
      ops.store(pool.view(), {pool.table(i), 0, lengths[i]}, k[i].data(), latent() ? nullptr : v[i].data(),
                s.kv_stride());
      k[i] = as_stored(s.dtype, k[i], s.head_dim);
      v[i] = as_stored(s.dtype, v[i], s.head_dim);
    }
  }

  bool latent() const { return shape.latent_rank > 0; }
  int64_t length(size_t i) const { return static_cast<int64_t>(k[i].size()) / shape.kv_stride(); }
  void add_sinks() {
    sinks = random_floats(shape.heads(), 99, 2.0f);
    attention.sinks = sinks.data();
  }

  const float* query(size_t i, int64_t token, int head) const {
    return q[i].data() + token * shape.q_stride() + int64_t{head} * shape.head_dim;
  }

  std::vector<double> expected(size_t i, const float* one, int head, const std::vector<int64_t>& tokens) const {
    const int64_t kv_head = int64_t{head / shape.group} * shape.head_dim;
    Expected e =
        direct_attention(one, k[i].data() + kv_head, v[i].data() + kv_head, shape.kv_stride(), tokens, shape.head_dim,
                         attention.scale, attention.sinks != nullptr ? attention.sinks + head : nullptr);
    e.out.resize(static_cast<size_t>(shape.value_dim()));
    return e.out;
  }

  /// Decode of every sequence's last token.
  std::vector<float> decode(AttentionOps& ops, const PageList& list) const {
    std::vector<float> queries;
    for (const auto& of_one : q) queries.insert(queries.end(), of_one.end() - shape.q_stride(), of_one.end());
    std::vector<float> out(static_cast<size_t>(shape.out_stride()) * q.size(), NAN);
    ops.decode(pool.view(), list, attention, queries.data(), out.data());
    return out;
  }

  std::vector<float> prefill(AttentionOps& ops, size_t i, int64_t first, int64_t count) const {
    std::vector<float> out(static_cast<size_t>(count * shape.out_stride()), NAN);
    ops.prefill(pool.view(), {pool.table(i), first, count}, attention, q[i].data() + first * shape.q_stride(),
                shape.q_stride(), out.data(), shape.out_stride());
    return out;
  }

  /// Fails where `out`, all heads of one token, is not what a prefill of that token gives over `tokens`.
  void expect_token(size_t i, int64_t token, const std::vector<int64_t>& tokens, const float* out) const {
    for (int h = 0; h < shape.heads(); ++h)
      expect_head(expected(i, query(i, token, h), h, tokens), i, h, out + int64_t{h} * shape.value_dim());
  }

  /// The same for a decode of the last token.
  void expect_decode(size_t i, const std::vector<int64_t>& tokens, const float* out) const {
    for (int h = 0; h < shape.heads(); ++h) {
      const std::vector<float> one = as_decoded(shape.dtype, query(i, length(i) - 1, h), shape.head_dim);
      expect_head(expected(i, one.data(), h, tokens), i, h, out + int64_t{h} * shape.value_dim());
    }
  }

  static void expect_head(const std::vector<double>& right, size_t i, int head, const float* out) {
    for (size_t d = 0; d < right.size(); ++d)
      ASSERT_NEAR(right[d], out[d], kLatentTolerance) << "sequence " << i << " head " << head << " column " << d;
  }

  /// Every query of prefill(i, first, ..) against the formula.
  void expect_prefill(size_t i, int64_t first, const std::vector<float>& out) const {
    const int64_t count = static_cast<int64_t>(out.size()) / shape.out_stride();
    for (int64_t t = 0; t < count && !testing::Test::HasFatalFailure(); ++t)
      expect_token(i, first + t, seen_from(first + t, attention.window), out.data() + t * shape.out_stride());
  }

  PoolShape shape;
  TestPool pool;
  AttentionShape attention;
  std::vector<std::vector<float>> k, v, q;
  std::vector<float> sinks;
};

/// Row r of a list as a list of its own.
inline PageList one_row(const PageList& list, int r) {
  const auto row = static_cast<size_t>(r);
  PageList one{.offsets = {0, list.row_pages(r)}, .last_tokens = {list.last_tokens[row]}};
  one.pages.assign(list.row(r).begin(), list.row(r).end());
  if (!list.skip_tokens.empty()) one.skip_tokens = {list.skip_tokens[row]};
  return one;
}

}  // namespace vortex::attention

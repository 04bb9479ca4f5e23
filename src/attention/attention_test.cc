// One body for every implementation, compared with the formula in double.
#include "attention/attention.h"

#include <gtest/gtest.h>

#include <string>

#include "attention/attention_testing.h"
#include "attention/backends_testing.h"
#include "tensor/quant_blocks.h"

namespace vortex::attention {
namespace {

std::string name_of(const PoolShape& s) {
  return "kv" + std::to_string(s.kv_heads) + "_group" + std::to_string(s.group) + "_dim" + std::to_string(s.head_dim) +
         "_page" + std::to_string(s.page_tokens) + "x" + std::to_string(s.pages_per_slab) + "_" +
         std::string(dtype_info(s.dtype).name);
}

std::vector<PoolShape> shapes() {
  std::vector<PoolShape> all;
  for (const int group : {1, 2, 3, 4, 5, 8, 16}) all.push_back({.kv_heads = 2, .group = group});
  for (const int dim : {8, 16, 20, 32, 64, 72, 80, 96, 100, 128, 256}) {
    all.push_back({.kv_heads = 1, .group = 3, .head_dim = dim});
    all.push_back({.kv_heads = 3, .group = 2, .head_dim = dim, .pages_per_slab = 2, .dtype = DType::kF32});
  }
  for (const int page : {4, 8, 16, 32, 128})
    for (const int ratio : {1, 2, 4})
      all.push_back({.kv_heads = 2, .group = 4, .head_dim = 32, .page_tokens = page, .pages_per_slab = ratio});
  for (size_t i = 0, n = all.size(); i < n; ++i) {
    if (all[i].dtype != DType::kBF16) continue;
    all.push_back(all[i]);
    all.back().dtype = DType::kCode8;
  }
  return all;
}

std::vector<int64_t> all_tokens(int64_t count) {
  std::vector<int64_t> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

void expect_close(const Expected& expected, const float* actual, const std::string& where) {
  for (size_t d = 0; d < expected.out.size(); ++d)
    ASSERT_NEAR(expected.out[d], actual[d], expected.tolerance) << where << " dim " << d;
}

/// Keys, values and queries of one sequence, and what attention over them must give. k and v are what goes in until
/// keep_stored() makes of them what a pool keeps.
struct Sequence {
  Sequence(const PoolShape& s, int64_t tokens, uint32_t seed, float sigma = 1.0f)
      : shape(s),
        length(tokens),
        k(random_floats(tokens * s.kv_stride(), seed, sigma)),
        v(random_floats(tokens * s.kv_stride(), seed + 1)),
        q(random_floats(tokens * s.q_stride(), seed + 2, sigma)) {}

  void keep_stored() {
    k = as_stored(shape.dtype, k, shape.head_dim);
    v = as_stored(shape.dtype, v, shape.head_dim);
  }

  Expected expected(int64_t query_token, int head, const std::vector<int64_t>& tokens) const {
    return of_query(query(query_token, head), head, tokens);
  }
  /// Of the last token.
  Expected expected_decode(int head, const std::vector<int64_t>& tokens) const {
    return of_query(as_decoded(shape.dtype, query(length - 1, head), shape.head_dim).data(), head, tokens);
  }
  const float* query(int64_t token, int head) const {
    return q.data() + token * shape.q_stride() + int64_t{head} * shape.head_dim;
  }
  Expected of_query(const float* one, int head, const std::vector<int64_t>& tokens) const {
    const int64_t kv_offset = int64_t{head / shape.group} * shape.head_dim;
    return direct_attention(one, k.data() + kv_offset, v.data() + kv_offset, shape.kv_stride(), tokens, shape.head_dim,
                            shape.scale());
  }
  const float* last_queries() const { return q.data() + (length - 1) * shape.q_stride(); }

  PoolShape shape;
  int64_t length;
  std::vector<float> k, v, q;
};

/// Several sequences stored in one pool, each in two slices to cross page borders.
struct Batch {
  Batch(AttentionOps& ops, const PoolShape& s, const std::vector<int64_t>& lengths, float sigma = 1.0f)
      : pool(s, lengths) {
    for (size_t i = 0; i < lengths.size(); ++i) {
      sequences.emplace_back(s, lengths[i], static_cast<uint32_t>(10 * i + 7), sigma);
      Sequence& seq = sequences.back();
      const int64_t cut = lengths[i] / 3;
      const int64_t offset = cut * s.kv_stride();
      ops.store(pool.view(), {pool.table(i), 0, cut}, seq.k.data(), seq.v.data(), s.kv_stride());
      ops.store(pool.view(), {pool.table(i), cut, lengths[i] - cut}, seq.k.data() + offset, seq.v.data() + offset,
                s.kv_stride());
      seq.keep_stored();
    }
  }

  std::vector<float> queries() const {
    std::vector<float> q;
    for (const Sequence& s : sequences) q.insert(q.end(), s.last_queries(), s.last_queries() + s.shape.q_stride());
    return q;
  }

  TestPool pool;
  std::vector<Sequence> sequences;
};

std::vector<float> decode(AttentionOps& ops, const Batch& batch, const PageList& list) {
  const PoolShape& shape = batch.sequences[0].shape;
  const std::vector<float> q = batch.queries();
  std::vector<float> out(q.size(), NAN);
  ops.decode(batch.pool.view(), list, shape.attention(), q.data(), out.data());
  return out;
}

std::vector<float> prefill(AttentionOps& ops, const Batch& batch, size_t sequence, int64_t first, int64_t count) {
  const Sequence& s = batch.sequences[sequence];
  const int64_t stride = s.shape.q_stride();
  std::vector<float> out(static_cast<size_t>(count * stride), NAN);
  ops.prefill(batch.pool.view(), {batch.pool.table(sequence), first, count}, s.shape.attention(),
              s.q.data() + first * stride, stride, out.data(), stride);
  return out;
}

void expect_prefill(const Batch& batch, size_t sequence, int64_t first, const std::vector<float>& out) {
  const Sequence& s = batch.sequences[sequence];
  const int64_t stride = s.shape.q_stride();
  for (int64_t i = 0; i * stride < static_cast<int64_t>(out.size()); ++i)
    for (int h = 0; h < s.shape.heads(); ++h)
      expect_close(s.expected(first + i, h, all_tokens(first + i + 1)), out.data() + i * stride + h * s.shape.head_dim,
                   "token " + std::to_string(first + i) + " head " + std::to_string(h));
}

class AttentionTest : public testing::TestWithParam<Backend> {
 protected:
  std::unique_ptr<AttentionOps> ops_ = GetParam().make();
};
INSTANTIATE_TEST_SUITE_P(Backends, AttentionTest, testing::ValuesIn(backends()),
                         [](const auto& test) { return test.param.name; });

float last_number(const FieldView& field, const std::byte* page, int64_t token) {
  std::vector<float> row(static_cast<size_t>(field.cols));
  const std::byte* at = page + field.page_bytes / field.rows * token;
  if (field.dtype == DType::kCode8)
    decode_row(at, field.cols, field.cols, row.data());
  else
    dequantize(field.dtype, at, row.data(), field.cols);
  return row.back();
}

TEST_P(AttentionTest, StoreRoundsToTheFieldAndTouchesNothingElse) {
  for (const PoolShape& shape : shapes()) {
    const Batch batch(*ops_, shape, {37});
    const Sequence& s = batch.sequences[0];
    const PageView& view = batch.pool.view();
    for (int64_t t = 0; t < view.slab_tokens * static_cast<int64_t>(batch.pool.table(0).size()); ++t) {
      const std::byte* page = view.fields[1].page(view.page_id(batch.pool.table(0), t / shape.page_tokens, 0));
      const float kept = last_number(view.fields[1], page, t % shape.page_tokens);
      if (t < s.length)
        ASSERT_EQ(kept, s.v[static_cast<size_t>(t * shape.kv_stride() + shape.head_dim - 1)]);
      else
        ASSERT_TRUE(std::isnan(kept)) << name_of(shape) << " token " << t;
    }
  }
}

TEST_P(AttentionTest, DecodeOverAllPagesMatchesTheFormula) {
  for (const PoolShape& shape : shapes()) {
    SCOPED_TRACE(name_of(shape));
    const Batch batch(*ops_, shape, {1, 130, 16, 77});
    const std::vector<float> out = decode(*ops_, batch, batch.pool.all_pages());
    const float* at = out.data();
    for (const Sequence& s : batch.sequences) {
      for (int h = 0; h < shape.heads(); ++h, at += shape.head_dim)
        expect_close(s.expected_decode(h, all_tokens(s.length)), at, "head " + std::to_string(h));
    }
  }
}

TEST_P(AttentionTest, DecodeReadsOnlyTheListedPagesInAnyOrder) {
  for (const PoolShape& shape : shapes()) {
    SCOPED_TRACE(name_of(shape));
    const int64_t length = 9 * shape.page_tokens + 3;
    const Batch batch(*ops_, shape, {length});
    const Sequence& s = batch.sequences[0];
    PageList list;
    list.offsets = {0};
    std::vector<std::vector<int64_t>> tokens;
    for (int h = 0; h < shape.kv_heads; ++h) {
      tokens.emplace_back();
      for (const int page : {6 - h, 1 + h, 3, 9}) {
        list.pages.push_back(batch.pool.view().page_id(batch.pool.table(0), page, h));
        for (int64_t t = page * shape.page_tokens; t < std::min(length, int64_t{page + 1} * shape.page_tokens); ++t)
          tokens.back().push_back(t);
      }
      list.offsets.push_back(static_cast<int32_t>(list.pages.size()));
      list.last_tokens.push_back(3);
    }
    const std::vector<float> out = decode(*ops_, batch, list);
    for (int h = 0; h < shape.heads(); ++h)
      expect_close(s.expected_decode(h, tokens[static_cast<size_t>(h / shape.group)]), out.data() + h * shape.head_dim,
                   "head " + std::to_string(h));
  }
}

TEST_P(AttentionTest, DecodeOfALongRowMatchesTheFormula) {
  for (const DType dtype : {DType::kBF16, DType::kCode8}) {
    const PoolShape shape{.kv_heads = 2, .group = 3, .dtype = dtype};
    const Batch batch(*ops_, shape, {2500, 40});
    const std::vector<float> out = decode(*ops_, batch, batch.pool.all_pages());
    for (int h = 0; h < shape.heads(); ++h)
      expect_close(batch.sequences[0].expected_decode(h, all_tokens(2500)), out.data() + h * shape.head_dim,
                   "long row");
  }
}

TEST_P(AttentionTest, ARowDoesNotDependOnTheOthers) {
  const PoolShape shape{.kv_heads = 2, .group = 4};
  const Batch batch(*ops_, shape, {300, 2000, 17});
  const PageList list = batch.pool.all_pages();
  const std::vector<float> together = decode(*ops_, batch, list);
  const int64_t row_floats = int64_t{shape.group} * shape.head_dim;
  const std::vector<float> q = batch.queries();
  for (int r = 0; r < list.rows(); ++r) {
    const auto pages = list.row(r);
    PageList one;
    one.offsets = {0, static_cast<int32_t>(pages.size())};
    one.pages.assign(pages.begin(), pages.end());
    one.last_tokens = {list.last_tokens[static_cast<size_t>(r)]};
    std::vector<float> alone(static_cast<size_t>(row_floats));
    ops_->decode(batch.pool.view(), one, shape.attention(), q.data() + r * row_floats, alone.data());
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + r * row_floats)) << "row " << r;
  }
}

TEST_P(AttentionTest, PrefillMatchesTheFormula) {
  for (const PoolShape& shape : shapes()) {
    SCOPED_TRACE(name_of(shape));
    const Batch batch(*ops_, shape, {61, 19});
    for (size_t i = 0; i < batch.sequences.size(); ++i)
      expect_prefill(batch, i, 0, prefill(*ops_, batch, i, 0, batch.sequences[i].length));
  }
}

TEST_P(AttentionTest, PrefillAtTheEndOfALongContextMatchesTheFormula) {
  for (const int group : {1, 4, 5}) {
    const Batch batch(*ops_, {.kv_heads = 2, .group = group}, {900});
    expect_prefill(batch, 0, 800, prefill(*ops_, batch, 0, 800, 100));
  }
}

TEST_P(AttentionTest, ChunksOfAPrefillGiveTheBitsOfTheWhole) {
  const PoolShape shape{.kv_heads = 1, .group = 3, .head_dim = 32};
  const int64_t length = 700;
  const Batch batch(*ops_, shape, {length});
  const std::vector<float> whole = prefill(*ops_, batch, 0, 0, length);
  for (const int64_t chunk : {1, 64, 100, 512}) {
    for (int64_t first = 0; first < length; first += chunk) {
      const std::vector<float> part = prefill(*ops_, batch, 0, first, std::min(chunk, length - first));
      ASSERT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + first * shape.q_stride()))
          << "chunk of " << chunk << " at " << first;
    }
  }
}

TEST_P(AttentionTest, PrefillOfTheLastTokenAgreesWithDecode) {
  const Batch batch(*ops_, {.kv_heads = 2, .group = 4}, {1111});
  const std::vector<float> decoded = decode(*ops_, batch, batch.pool.all_pages());
  const std::vector<float> prefilled = prefill(*ops_, batch, 0, 1110, 1);
  for (size_t i = 0; i < decoded.size(); ++i) EXPECT_NEAR(decoded[i], prefilled[i], 2e-6);
}

TEST_P(AttentionTest, HugeLogitsDoNotOverflow) {
  for (const DType dtype : {DType::kBF16, DType::kCode8}) {
    const PoolShape shape{.kv_heads = 1, .group = 2, .dtype = dtype};
    const Batch batch(*ops_, shape, {200}, 300.0f);
    const std::vector<float> out = decode(*ops_, batch, batch.pool.all_pages());
    for (int h = 0; h < shape.heads(); ++h)
      expect_close(batch.sequences[0].expected_decode(h, all_tokens(200)), out.data() + h * shape.head_dim, "decode");
    expect_prefill(batch, 0, 0, prefill(*ops_, batch, 0, 0, 200));
  }
}

TEST_P(AttentionTest, EqualLogitsGiveTheMeanOfTheValues) {
  const PoolShape shape{.kv_heads = 1, .group = 2, .dtype = DType::kF32};
  const Batch batch(*ops_, shape, {150}, 0.0f);
  const Sequence& s = batch.sequences[0];
  const std::vector<float> decoded = decode(*ops_, batch, batch.pool.all_pages());
  const std::vector<float> prefilled = prefill(*ops_, batch, 0, 149, 1);
  for (int d = 0; d < shape.head_dim; ++d) {
    double mean = 0.0;
    for (int64_t t = 0; t < s.length; ++t) mean += s.v[static_cast<size_t>(t * shape.head_dim + d)] / 150.0;
    EXPECT_NEAR(decoded[static_cast<size_t>(d)], mean, 1e-6);
    EXPECT_NEAR(prefilled[static_cast<size_t>(d)], mean, 1e-6);
  }
}

TEST_P(AttentionTest, ASingleTokenGivesItsValue) {
  const PoolShape shape{.kv_heads = 2, .group = 3};
  const Batch batch(*ops_, shape, {1});
  const std::vector<float> decoded = decode(*ops_, batch, batch.pool.all_pages());
  const std::vector<float> prefilled = prefill(*ops_, batch, 0, 0, 1);
  for (int h = 0; h < shape.heads(); ++h) {
    for (int d = 0; d < shape.head_dim; ++d) {
      const auto at = static_cast<size_t>(h * shape.head_dim + d);
      const float v = batch.sequences[0].v[static_cast<size_t>(h / shape.group * shape.head_dim + d)];
      EXPECT_EQ(decoded[at], v);
      EXPECT_EQ(prefilled[at], v);
    }
  }
}

TEST(CpuAttentionTest, ResultsDoNotDependOnTheNumberOfThreads) {
  const PoolShape shape{.kv_heads = 2, .group = 3};
  for (const Isa isa : available_isas()) {
    PooledOps one(isa, 1);
    const Batch batch(one, shape, {3000, 64});
    const PageList list = batch.pool.all_pages();
    const std::vector<float> decoded = decode(one, batch, list);
    const std::vector<float> prefilled = prefill(one, batch, 0, 2700, 300);
    for (const int threads : {2, 3, 8}) {
      PooledOps many(isa, threads);
      EXPECT_EQ(decode(many, batch, list), decoded) << threads << " threads, " << isa_name(isa);
      EXPECT_EQ(prefill(many, batch, 0, 2700, 300), prefilled) << threads << " threads, " << isa_name(isa);
    }
  }
}

}  // namespace
}  // namespace vortex::attention

// What stands between projections and attention: norms and rotation of heads, and the rows of pages.
#include <cuda_fp8.h>

#include "kernels/cuda/cuda_testing.h"
#include "kernels/cuda/dense.h"

namespace vortex::cuda {
namespace {

using namespace testing;
using StoreTest = GpuTest;

constexpr int kPageTokens = 4, kPagesPerSlab = 2, kSlabs = 6, kPositions = 16;

/// Two sequences of two slabs each, and tokens of them; the second last token is padding.
struct Step {
  std::vector<int32_t> tables{4, 1, 0, 5};
  std::vector<int32_t> sequence{0, 1, 0, 0, 1}, position{9, 3, 0, -1, 14};
  DeviceArray<int32_t> tables_device = upload(tables), sequence_device = upload(sequence),
                       position_device = upload(position);

  StepView view(int kv_heads) const {
    StepView step;
    step.tables = tables_device.data();
    step.table_stride = 2;
    step.kv_heads = kv_heads;
    step.page_tokens = kPageTokens;
    step.pages_per_slab = kPagesPerSlab;
    return step;
  }
  TokenView tokens() const { return {sequence_device.data(), position_device.data(), count()}; }
  int32_t count() const { return static_cast<int32_t>(sequence.size()); }
  /// Row of the pages' [ids, page_tokens] where token t of a head is stored.
  int64_t stored_at(int32_t t, int kv_heads, int head) const {
    const int32_t at = position[static_cast<size_t>(t)], page = at / kPageTokens;
    const int32_t slab = tables[static_cast<size_t>(sequence[static_cast<size_t>(t)] * 2 + page / kPagesPerSlab)];
    return int64_t{(slab * kv_heads + head) * kPagesPerSlab + page % kPagesPerSlab} * kPageTokens + at % kPageTokens;
  }
};

std::vector<float> rope_table(int pairs) {
  std::vector<float> out;
  for (int p = 0; p < kPositions; ++p) {
    for (int i = 0; i < pairs; ++i) out.push_back(std::cos(static_cast<float>(p) / static_cast<float>(i + 1)));
    for (int i = 0; i < pairs; ++i) out.push_back(std::sin(static_cast<float>(p) / static_cast<float>(i + 1)));
  }
  return out;
}

void rotate(std::vector<float>* head, const std::vector<float>& table, int pairs, bool interleaved, int position) {
  const kernels::RopeAngles angles{table.data() + position * 2 * pairs, table.data() + position * 2 * pairs + pairs,
                                   pairs, interleaved};
  const auto dim = static_cast<int>(head->size());
  kernels::make_ref_dense_ops()->rope(head->data(), 1, dim, 1, dim, angles);
}

std::vector<float> slice(const std::vector<float>& x, int64_t first, int64_t count) {
  return {x.begin() + first, x.begin() + first + count};
}

/// x / sqrt(mean(all^2) + eps) * weight
std::vector<float> normed(std::vector<float> x, const std::vector<float>& all, const float* weight, float eps) {
  double sum = 0;
  for (const float value : all) sum += double{value} * value;
  const double scale = 1.0 / std::sqrt(sum / static_cast<double>(all.size()) + eps);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(x[i] * scale * weight[i]);
  return x;
}

struct QkvCase {
  int heads, kv_heads, head_dim, pairs;
  bool interleaved = false, norm = false, norm_all = false, fp8 = false;
  bool ranks = false;  // norm_all over two ranks whose heads are alike: what all heads here have is half of the sums
};

class QkvProblem {
 public:
  explicit QkvProblem(const QkvCase& c)
      : c_(c),
        qkv_(random_rounded(int64_t{step_.count()} * (c.heads + 2 * c.kv_heads) * c.head_dim, 1)),
        rope_(rope_table(c.pairs)),
        q_norm_(random_floats(int64_t{c.heads} * c.head_dim, 2)),
        k_norm_(random_floats(int64_t{c.kv_heads} * c.head_dim, 3)) {}

  void run(cudaStream_t stream) {
    const auto qkv = upload_bf16(qkv_);
    const auto rope = upload(rope_), q_norm = upload(q_norm_), k_norm = upload(k_norm_);
    QkvShape shape{c_.heads, c_.kv_heads, c_.head_dim, c_.pairs, c_.interleaved, rope.data()};
    if (c_.norm) shape.q_norm = q_norm.data(), shape.k_norm = k_norm.data();
    shape.norm_all = c_.norm_all, shape.eps = 1e-5f;
    const auto squares = upload(c_.ranks ? squares_of_two(qkv.data(), shape, stream) : std::vector<float>());
    if (c_.ranks) shape.squares = squares.data();
    shape.square_heads = 2 * c_.heads, shape.square_kv_heads = 2 * c_.kv_heads;
    const int64_t width = c_.fp8 ? 1 : 2, page_bytes = width * kPageTokens * c_.head_dim;
    const auto zeros = std::vector<unsigned char>(static_cast<size_t>(pages() * page_bytes));
    const auto k = upload(zeros), v = upload(zeros);
    const auto q = upload_bf16(std::vector<float>(static_cast<size_t>(step_.count() * c_.heads * c_.head_dim)));
    norm_rope_store(qkv.data(), shape, step_.view(c_.kv_heads), step_.tokens(), {k.data(), page_bytes},
                    {v.data(), page_bytes}, c_.fp8 ? DType::kF8E4M3 : DType::kBF16, q.data(), stream);
    check(to_floats(download(q)), stored(download(k)), stored(download(v)));
  }

 private:
  /// Summed up as two ranks would.
  std::vector<float> squares_of_two(const bf16* qkv, const QkvShape& shape, cudaStream_t stream) const {
    const auto one = upload(std::vector<float>(static_cast<size_t>(2 * step_.count()), -1.0f));
    sum_of_squares(qkv, shape, step_.count(), false, one.data(), stream);
    std::vector<float> sums = download(one);
    for (size_t t = 0; t < sums.size(); t += 2) EXPECT_EQ(sums[t + 1], 0.0f);  // another rank counts the keys
    sum_of_squares(qkv, shape, step_.count(), true, one.data(), stream);
    sums = download(one);
    for (float& sum : sums) sum *= 2;
    return sums;
  }

  int64_t pages() const { return int64_t{kSlabs} * c_.kv_heads * kPagesPerSlab; }

  std::vector<float> stored(const std::vector<unsigned char>& bytes) const {
    std::vector<float> out;
    if (c_.fp8) {
      for (const unsigned char byte : bytes) {
        __nv_fp8_e4m3 value;
        value.__x = byte;
        out.push_back(static_cast<float>(value));
      }
      return out;
    }
    const auto* values = reinterpret_cast<const __nv_bfloat16*>(bytes.data());
    return to_floats({values, values + bytes.size() / 2});
  }

  std::vector<float> expected(int t, int head) const {
    const int64_t row = int64_t{t} * (c_.heads + 2 * c_.kv_heads) * c_.head_dim;
    const bool is_q = head < c_.heads, is_k = !is_q && head < c_.heads + c_.kv_heads;
    std::vector<float> x = slice(qkv_, row + int64_t{head} * c_.head_dim, c_.head_dim);
    if (!is_q && !is_k) return x;
    const int first = is_q ? 0 : c_.heads, count = is_q ? c_.heads : c_.kv_heads;
    const float* weight = (is_q ? q_norm_ : k_norm_).data() + (c_.norm_all ? (head - first) * c_.head_dim : 0);
    const auto all = slice(qkv_, row + int64_t{first} * c_.head_dim, int64_t{count} * c_.head_dim);
    if (c_.norm) x = normed(x, c_.norm_all ? all : x, weight, 1e-5f);
    rotate(&x, rope_, c_.pairs, c_.interleaved, step_.position[static_cast<size_t>(t)]);
    return x;
  }

  void check(const std::vector<float>& q, const std::vector<float>& k, const std::vector<float>& v) const {
    std::vector<float> want_q(q.size()), want_k(k.size()), want_v(v.size());
    const auto put = [&](std::vector<float>* out, int64_t row, const std::vector<float>& x) {
      std::copy(x.begin(), x.end(), out->begin() + row * c_.head_dim);
    };
    for (int t = 0; t < step_.count(); ++t) {
      if (step_.position[static_cast<size_t>(t)] < 0) continue;
      for (int h = 0; h < c_.heads; ++h) put(&want_q, int64_t{t} * c_.heads + h, expected(t, h));
      for (int h = 0; h < c_.kv_heads; ++h) {
        const int64_t row = step_.stored_at(t, c_.kv_heads, h);
        put(&want_k, row, expected(t, c_.heads + h));
        put(&want_v, row, expected(t, c_.heads + c_.kv_heads + h));
      }
    }
    expect_close(q, want_q, 1e-3f, 0.005f);
    expect_close(k, want_k, 2e-3f, c_.fp8 ? 0.07f : 0.005f);
    expect_close(v, want_v, 2e-3f, c_.fp8 ? 0.07f : 0.0f);
  }

  QkvCase c_;
  Step step_;
  std::vector<float> qkv_, rope_, q_norm_, k_norm_;
};

TEST_F(StoreTest, RotatesAndStores) {
  for (const int dim : {16, 64, 80, 128, 256}) {
    SCOPED_TRACE(dim);
    QkvProblem({.heads = 4, .kv_heads = 2, .head_dim = dim, .pairs = dim / 2}).run(stream());
  }
}

TEST_F(StoreTest, RotatesPartsAndPairs) {
  QkvProblem({.heads = 3, .kv_heads = 1, .head_dim = 64, .pairs = 16}).run(stream());
  QkvProblem({.heads = 3, .kv_heads = 1, .head_dim = 64, .pairs = 16, .interleaved = true}).run(stream());
  QkvProblem({.heads = 3, .kv_heads = 1, .head_dim = 64, .pairs = 0}).run(stream());
}

TEST_F(StoreTest, NormsHeads) {
  QkvProblem({.heads = 8, .kv_heads = 2, .head_dim = 128, .pairs = 64, .norm = true}).run(stream());
  QkvProblem({.heads = 8, .kv_heads = 2, .head_dim = 128, .pairs = 64, .norm = true, .norm_all = true}).run(stream());
  QkvProblem({.heads = 8, .kv_heads = 2, .head_dim = 128, .pairs = 64, .norm = true, .norm_all = true, .ranks = true})
      .run(stream());
}

TEST_F(StoreTest, StoresFp8) {
  QkvProblem({.heads = 4, .kv_heads = 2, .head_dim = 64, .pairs = 32, .fp8 = true}).run(stream());
}

TEST_F(StoreTest, Latents) {
  constexpr int kHeads = 3, kRank = 48, kNope = 24, kRopeDim = 16, kRow = kRank + kRopeDim, kQ = kNope + kRopeDim;
  const Step step;
  for (const bool interleaved : {false, true}) {
    const auto kv_a = random_rounded(step.count() * kRow, 1), q = random_rounded(step.count() * kHeads * kQ, 2);
    const auto norm = random_floats(kRank, 3), rope = rope_table(kRopeDim / 2);
    const auto norm_device = upload(norm), rope_device = upload(rope);
    const auto kv_a_device = upload_bf16(kv_a), q_device = upload_bf16(q);
    const int64_t rows = kSlabs * kPagesPerSlab * kPageTokens;
    const auto pages = upload_bf16(std::vector<float>(static_cast<size_t>(rows * kRow)));
    const auto absorbed = upload_bf16(std::vector<float>(static_cast<size_t>(step.count() * kHeads * kRow)));
    const LatentShape shape{kHeads, kRank, kNope, kRopeDim, interleaved, rope_device.data(), norm_device.data(), 1e-6f};
    latent_rope_store(kv_a_device.data(), q_device.data(), shape, step.view(1), step.tokens(),
                      {reinterpret_cast<unsigned char*>(pages.data()), kPageTokens * kRow * 2}, DType::kBF16,
                      absorbed.data(), stream());
    std::vector<float> want_pages(static_cast<size_t>(rows * kRow)),
        want_absorbed(static_cast<size_t>(step.count() * kHeads * kRow));
    for (int t = 0; t < step.count(); ++t) {
      const int position = step.position[static_cast<size_t>(t)];
      if (position < 0) continue;
      const auto rotated = [&](const std::vector<float>& x, int64_t first) {
        std::vector<float> out = slice(x, first, kRopeDim);
        rotate(&out, rope, kRopeDim / 2, interleaved, position);
        return out;
      };
      const auto latent = slice(kv_a, t * kRow, kRank), head = normed(latent, latent, norm.data(), 1e-6f);
      const auto row = want_pages.begin() + step.stored_at(t, 1, 0) * kRow;
      std::copy(head.begin(), head.end(), row);
      std::ranges::copy(rotated(kv_a, t * kRow + kRank), row + kRank);
      for (int h = 0; h < kHeads; ++h)
        std::ranges::copy(rotated(q, (t * kHeads + h) * kQ + kNope),
                          want_absorbed.begin() + (t * kHeads + h) * kRow + kRank);
    }
    expect_close(to_floats(download(pages)), want_pages, 1e-3f, 0.005f);
    expect_close(to_floats(download(absorbed)), want_absorbed, 1e-3f, 0.005f);
  }
}

}  // namespace
}  // namespace vortex::cuda

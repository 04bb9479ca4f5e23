#include <gtest/gtest.h>

#include <ostream>

#include "attention/cuda/attention_testing.h"
#include "attention/cuda/time_decode.h"

namespace vortex::cuda {
namespace {

using testing::Cache;
using testing::Place;
using testing::relative_error;
using testing::Shape;
using testing::to_bf16;
using testing::to_host;

constexpr double kTolerance = 1e-2;
constexpr int kReserved = 1;

struct NamedShape {
  const char* name;
  Shape shape;
};
void PrintTo(const NamedShape& s, std::ostream* out) { *out << s.name; }

/// The arrays of a StepView whose sequences all decode.
struct Step {
  DeviceArray<int32_t> tokens, pages, selected, last_tokens;
  StepView view;
  std::vector<int32_t> host_pages, host_selected;

  explicit Step(const Cache& cache) {
    const Shape& s = cache.shape;
    std::vector<int32_t> last;
    for (const int32_t length : s.lengths) {
      const int32_t n = (length + s.page_tokens - 1) / s.page_tokens;
      host_pages.push_back(n);
      host_selected.push_back(s.selected > 0 ? std::min(n, s.selected) : n);
      last.push_back(length - (n - 1) * s.page_tokens);
    }
    const auto upload = [](const std::vector<int32_t>& x) { return to_device(std::span<const int32_t>(x)); };
    tokens = upload(s.lengths);
    pages = upload(host_pages);
    selected = upload(host_selected);
    last_tokens = upload(last);
    view = {cache.device_tables.data(),
            cache.slabs_a_row,
            tokens.data(),
            pages.data(),
            selected.data(),
            last_tokens.data(),
            static_cast<int32_t>(s.lengths.size()),
            s.kv_heads,
            s.page_tokens,
            s.pages_per_slab,
            kReserved,
            kReserved};
  }
};

AttentionScratch::Limits limits_of(const Shape& s) {
  return {.sequences = static_cast<int>(s.lengths.size()),
          .max_length = int64_t{s.max_pages()} * s.page_tokens,
          .kv_heads = s.kv_heads,
          .group = s.group,
          .page_tokens = s.page_tokens,
          .value_dim = s.value_dim,
          .window = s.window,
          .sparse = s.selected > 0,
          .multiprocessors = 16};
}

/// Logical pages of a row's list, and the tokens of the first that do not count.
struct Listed {
  std::vector<int> pages;
  int skip = 0;
};

class Decode : public ::testing::TestWithParam<NamedShape> {
 protected:
  Decode() : shape_(GetParam().shape) {}

  void SetUp() override {
    if (testing::no_device()) GTEST_SKIP() << "no GPU";
    cache_ = std::make_unique<Cache>(shape_);
    step_ = std::make_unique<Step>(*cache_);
    scratch_ = std::make_unique<AttentionScratch>(limits_of(shape_));
    scratch_->plan_step(step_->view, nullptr);
    q_ = to_bf16(testing::noise(rows() * shape_.group * shape_.head_dim, 5));
    device_q_ = to_device(std::span<const __nv_bfloat16>(q_));
  }

  int64_t rows() const { return static_cast<int64_t>(shape_.lengths.size()) * shape_.kv_heads; }

  Listed all_pages(int sequence, int first_token) const {
    Listed out{{}, first_token % shape_.page_tokens};
    for (int j = first_token / shape_.page_tokens; j < step_->host_pages[static_cast<size_t>(sequence)]; ++j)
      out.pages.push_back(j);
    return out;
  }

  /// The pages that reserved slots name, and between them every second one, as a selection would.
  Listed chosen_pages(int sequence) const {
    const auto s = static_cast<size_t>(sequence);
    const int n = step_->host_pages[s], m = step_->host_selected[s];
    if (m == n) return all_pages(sequence, 0);
    Listed out{{0}, 0};
    for (int i = 1; i + 1 < m; ++i) out.pages.push_back(std::min(2 * i, n - m + i));
    out.pages.push_back(n - 1);
    return out;
  }

  /// What plan_step wrote for a row, with the middle that it leaves open filled in.
  void fill_middle(const ListView& list) {
    for (int r = 0; r < rows(); ++r) {
      const int sequence = r / shape_.kv_heads;
      const Listed wanted = chosen_pages(sequence);
      auto have = to_host(list.pages + int64_t{r} * list.stride, static_cast<int64_t>(wanted.pages.size()));
      for (size_t i = 0; i < have.size(); ++i) {
        const bool open = wanted.pages.size() < static_cast<size_t>(step_->host_pages[static_cast<size_t>(sequence)]) &&
                          i >= kReserved && i + kReserved < have.size();
        const int id = cache_->page_id(sequence, wanted.pages[i], r % shape_.kv_heads);
        ASSERT_EQ(have[i], open ? -1 : id) << "row " << r << " slot " << i;
        have[i] = id;
      }
      VORTEX_CUDA_CHECK(cudaMemcpy(list.pages + int64_t{r} * list.stride, have.data(), have.size() * sizeof(int32_t),
                                   cudaMemcpyHostToDevice));
    }
  }

  void check_list(const ListView& list, const std::vector<Listed>& wanted) {
    const auto counts = to_host(list.counts, rows());
    for (int r = 0; r < rows(); ++r) {
      const Listed& row = wanted[static_cast<size_t>(r / shape_.kv_heads)];
      ASSERT_EQ(counts[static_cast<size_t>(r)], static_cast<int>(row.pages.size())) << "row " << r;
      const auto have = to_host(list.pages + int64_t{r} * list.stride, static_cast<int64_t>(row.pages.size()));
      for (size_t i = 0; i < have.size(); ++i)
        ASSERT_EQ(have[i], cache_->page_id(r / shape_.kv_heads, row.pages[i], r % shape_.kv_heads)) << "row " << r;
    }
  }

  std::vector<Place> places(int row, const Listed& listed) const {
    const int sequence = row / shape_.kv_heads, length = shape_.lengths[static_cast<size_t>(sequence)];
    std::vector<Place> out;
    for (size_t i = 0; i < listed.pages.size(); ++i) {
      const int begin = listed.pages[i] * shape_.page_tokens + (i == 0 ? listed.skip : 0);
      const int end = std::min(length, (listed.pages[i] + 1) * shape_.page_tokens);
      for (const Place at : cache_->places(sequence, row % shape_.kv_heads, begin, end)) out.push_back(at);
    }
    return out;
  }

  /// Twice, since counters must be as they were after the first.
  std::vector<__nv_bfloat16> decode(const ListView& list) {
    const int64_t size = rows() * shape_.group * shape_.value_dim;
    const std::vector<__nv_bfloat16> sentinel(static_cast<size_t>(size), __float2bfloat16(77.0f));
    const auto out = to_device(std::span<const __nv_bfloat16>(sentinel));
    scratch_->decode(cache_->layer(), step_->view, list, device_q_.data(), out.data(), nullptr);
    const auto first = to_host(out.data(), size);
    scratch_->decode(cache_->layer(), step_->view, list, device_q_.data(), out.data(), nullptr);
    const auto second = to_host(out.data(), size);
    for (int64_t i = 0; i < size; ++i)
      EXPECT_NEAR(__bfloat162float(first[static_cast<size_t>(i)]), __bfloat162float(second[static_cast<size_t>(i)]),
                  1e-2)
          << i;
    return second;
  }

  void check_decode(const ListView& list, const std::vector<Listed>& wanted) {
    const auto out = decode(list);
    double worst = 0.0;
    for (int r = 0; r < rows(); ++r) {
      const bool padding = shape_.lengths[static_cast<size_t>(r / shape_.kv_heads)] == 0;
      const auto tokens = places(r, wanted[static_cast<size_t>(r / shape_.kv_heads)]);
      for (int g = 0; g < shape_.group; ++g) {
        const int64_t at = int64_t{r} * shape_.group + g;
        const __nv_bfloat16* got = out.data() + at * shape_.value_dim;
        if (padding) {
          ASSERT_EQ(__bfloat162float(got[0]), 77.0f) << "padding row " << r << " was written";
          continue;
        }
        const auto expected =
            cache_->expected(tokens, r % shape_.kv_heads * shape_.group + g, q_.data() + at * shape_.head_dim);
        const double error = relative_error(got, expected);
        ASSERT_LT(error, kTolerance) << "row " << r << " head " << g << " tokens " << tokens.size();
        worst = std::max(worst, error);
      }
    }
    RecordProperty("worst", std::to_string(worst));
  }

  template <class Choose>
  std::vector<Listed> each(Choose choose) const {
    std::vector<Listed> out;
    for (int s = 0; s < static_cast<int>(shape_.lengths.size()); ++s) out.push_back(choose(s));
    return out;
  }

  Shape shape_;
  std::unique_ptr<Cache> cache_;
  std::unique_ptr<Step> step_;
  std::unique_ptr<AttentionScratch> scratch_;
  std::vector<__nv_bfloat16> q_;
  DeviceArray<__nv_bfloat16> device_q_;
};

TEST_P(Decode, AllPages) {
  const auto wanted = each([&](int s) { return all_pages(s, 0); });
  check_list(scratch_->lists().all, wanted);
  check_decode(scratch_->lists().all, wanted);
}

TEST_P(Decode, Window) {
  if (shape_.window == 0) GTEST_SKIP() << "no window";
  const auto wanted =
      each([&](int s) { return all_pages(s, std::max(0, shape_.lengths[static_cast<size_t>(s)] - shape_.window)); });
  check_list(scratch_->lists().window, wanted);
  check_decode(scratch_->lists().window, wanted);
}

TEST_P(Decode, SelectedPages) {
  if (shape_.selected == 0) GTEST_SKIP() << "nothing is selected";
  const auto wanted = each([&](int s) { return chosen_pages(s); });
  ASSERT_NO_FATAL_FAILURE(fill_middle(scratch_->lists().selected));
  check_list(scratch_->lists().selected, wanted);
  check_decode(scratch_->lists().selected, wanted);
}

/// A selection that decided for fewer pages than were planned: the last ones of a row are gone, the row's end stays.
TEST_P(Decode, FewerPagesThanPlanned) {
  if (shape_.selected == 0) GTEST_SKIP() << "nothing is selected";
  ASSERT_NO_FATAL_FAILURE(fill_middle(scratch_->lists().selected));
  const auto wanted = each([&](int s) {
    Listed listed = chosen_pages(s);
    if (listed.pages.size() > 3) listed.pages.erase(listed.pages.begin() + 2, listed.pages.end() - 1);
    return listed;
  });
  const ListView list = scratch_->lists().selected;
  for (int r = 0; r < rows(); ++r) {
    std::vector<int32_t> ids;
    for (const int page : wanted[static_cast<size_t>(r / shape_.kv_heads)].pages)
      ids.push_back(cache_->page_id(r / shape_.kv_heads, page, r % shape_.kv_heads));
    const auto count = static_cast<int32_t>(ids.size());
    VORTEX_CUDA_CHECK(cudaMemcpy(list.pages + int64_t{r} * list.stride, ids.data(), ids.size() * sizeof(int32_t),
                                 cudaMemcpyHostToDevice));
    VORTEX_CUDA_CHECK(cudaMemcpy(list.counts + r, &count, sizeof count, cudaMemcpyHostToDevice));
  }
  check_decode(list, wanted);
}

/// Prompts that go on behind a cached prefix, each with a part of its tokens new; the first is whole.
TEST_P(Decode, Prefill) {
  std::vector<PrefillSlice> slices;
  int32_t tokens = 0, most = 0;
  for (int s = 0; s < static_cast<int>(shape_.lengths.size()); ++s) {
    const int32_t length = shape_.lengths[static_cast<size_t>(s)];
    if (length == 0) continue;
    const int32_t first = slices.empty() ? std::max(0, length - 150) : std::max(0, length - 67);
    slices.push_back({s, tokens, length - first, first});
    tokens += length - first;
    most = std::max(most, length - first);
  }
  const int heads = shape_.kv_heads * shape_.group;
  const auto q = to_bf16(testing::noise(int64_t{tokens} * heads * shape_.head_dim, 6));
  const auto device_q = to_device(std::span<const __nv_bfloat16>(q));
  const auto device_slices = to_device(std::span<const PrefillSlice>(slices));
  const int64_t size = int64_t{tokens} * heads * shape_.value_dim;
  DeviceArray<__nv_bfloat16> out(size);
  prefill(cache_->layer(), step_->view, device_slices.data(), static_cast<int>(slices.size()), most, device_q.data(),
          out.data(), nullptr);
  const auto got = to_host(out.data(), size);
  for (const PrefillSlice& slice : slices) {
    for (int32_t i = 0; i < slice.count; i += 1 + i % 5) {
      const int end = slice.first + i + 1, begin = shape_.window > 0 ? std::max(0, end - shape_.window) : 0;
      for (int head = i % 3; head < heads; head += 1 + heads / 8) {
        const int64_t at = int64_t{slice.token + i} * heads + head;
        const auto expected = cache_->expected(cache_->places(slice.sequence, head / shape_.group, begin, end), head,
                                               q.data() + at * shape_.head_dim);
        ASSERT_LT(relative_error(got.data() + at * shape_.value_dim, expected), kTolerance)
            << "sequence " << slice.sequence << " position " << end - 1 << " head " << head;
      }
    }
  }
}

Shape gqa(int dim, int group, int page_tokens, Shape more = {}) {
  more.head_dim = more.value_dim = dim;
  more.group = group;
  more.page_tokens = page_tokens;
  if (more.lengths.empty()) more.lengths = {700, 0, 1, 333, 17};
  return more;
}

Shape latent(int heads, int page_tokens, Shape more = {}) {
  more.head_dim = 576;
  more.value_dim = 512;
  more.latent = true;
  more.kv_heads = 1;
  more.group = heads;
  more.page_tokens = page_tokens;
  if (more.lengths.empty()) more.lengths = {500, 0, 1, 133};
  return more;
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Decode,
    ::testing::Values(
        NamedShape{"qwen", gqa(128, 2, 16, {.kv_heads = 8, .lengths = {1100, 0, 530, 90}, .selected = 31})},
        NamedShape{"one_sequence", gqa(128, 4, 16, {.kv_heads = 8, .lengths = {2000}, .selected = 31})},
        NamedShape{"page8", gqa(128, 5, 8, {.selected = 9})}, NamedShape{"page32", gqa(128, 8, 32, {.selected = 5})},
        NamedShape{"page64", gqa(64, 7, 64, {.pages_per_slab = 1, .window = 100})},
        NamedShape{"page128", gqa(128, 1, 128, {.pages_per_slab = 1, .selected = 3})},
        NamedShape{"oss", gqa(64, 8, 16, {.window = 128, .sinks = true})},
        NamedShape{"window8", gqa(16, 4, 16, {.window = 8, .sinks = true})},
        NamedShape{"window5", gqa(32, 2, 8, {.window = 5, .sinks = true})},
        NamedShape{"group16", gqa(128, 16, 16, {.selected = 7})},
        NamedShape{"group12", gqa(96, 12, 16, {.window = 37})}, NamedShape{"dim16", gqa(16, 2, 16, {.selected = 6})},
        NamedShape{"dim32", gqa(32, 3, 8, {.window = 100})},
        NamedShape{"dim256", gqa(256, 4, 16, {.window = 201, .sinks = true})},
        NamedShape{"dim256_group16", gqa(256, 16, 32)}, NamedShape{"odd", gqa(80, 3, 16, {.selected = 6})},
        NamedShape{"fp8", gqa(128, 4, 16, {.selected = 8, .dtype = DType::kF8E4M3})},
        NamedShape{"latent4", latent(4, 16, {.selected = 8})}, NamedShape{"latent16", latent(16, 64)},
        NamedShape{"latent20", latent(20, 16, {.selected = 9})},
        NamedShape{"latent28", latent(28, 32, {.selected = 5})},
        NamedShape{"latent128", latent(128, 32, {.lengths = {300, 0, 65}})},
        NamedShape{"latent_fp8", latent(16, 16, {.dtype = DType::kF8E4M3})}),
    [](const auto& shape) { return std::string(shape.param.name); });

/// What `vortex bench attention` runs.
TEST(TimeDecode, AgreesWithPlainLoops) {
  if (testing::no_device()) GTEST_SKIP() << "no GPU";
  for (bool latent : {false, true}) {
    attention::DecodeTask task{.batch = 3, .context = 165, .kv_heads = 2, .group = 3, .head_dim = 64, .scale = 0.1f};
    if (latent) task.pages = 5, task.kv_heads = 1, task.group = 16, task.head_dim = 576, task.latent_rank = 512;
    task.copy_bytes = 1 << 16;
    const auto timing = time_decode(task);
    ASSERT_TRUE(timing.ok()) << timing.error().to_string();
    EXPECT_LT(timing->error, 1e-2);
  }
}

}  // namespace
}  // namespace vortex::cuda

#include "attention/decode_case.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "attention/attention.h"
#include "tensor/half.h"

namespace vortex::attention {
namespace {

constexpr size_t kNoise = size_t{1} << 20;

}  // namespace

int64_t DecodeTask::read_bytes() const {
  const int64_t all = fields() * int64_t{2} * head_dim * context * rows();
  if (pages == 0) return all;
  const int64_t last_tokens = context - int64_t{context_pages() - 1} * page_tokens;
  return fields() * int64_t{2} * head_dim * (int64_t{pages - 1} * page_tokens + last_tokens) * rows();
}

std::vector<uint16_t> noise_block() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> out(kNoise);
  for (uint16_t& x : out) x = f32_to_bf16(normal(random));
  return out;
}

DecodeCase::DecodeCase(const DecodeTask& task) : task_(task) {
  make_step();
  make_list();
  const std::vector<uint16_t> noise = noise_block();
  queries_.resize(static_cast<size_t>(task.rows()) * static_cast<size_t>(task.group) *
                  static_cast<size_t>(task.head_dim));
  for (size_t i = 0; i < queries_.size(); ++i) queries_[i] = bf16_to_f32(noise[(i + i / kNoise) % kNoise]);
}

void DecodeCase::make_step() {
  const auto pages = static_cast<size_t>(task_.context_pages());
  tables_.resize(static_cast<size_t>(task_.batch) * pages);
  std::iota(tables_.begin(), tables_.end(), 0);
  std::shuffle(tables_.begin(), tables_.end(), std::mt19937(2));
  step_.kv_heads = task_.kv_heads;
  for (size_t s = 0; s < static_cast<size_t>(task_.batch); ++s) {
    SequencePlan sequence;
    sequence.table = std::span(tables_).subspan(s * pages, pages);
    sequence.tokens = task_.context;
    sequence.pages = task_.context_pages();
    sequence.budget = sequence.selected = task_.pages > 0 ? task_.pages : sequence.pages;
    sequence.last_tokens = task_.context - (sequence.pages - 1) * task_.page_tokens;
    step_.sequences.push_back(sequence);
  }
}

void DecodeCase::make_list() {
  const PageView view{{}, task_.kv_heads, task_.page_tokens, task_.page_tokens};
  if (task_.pages == 0) return list_all_pages(step_, view, &list_);
  list_reserved_pages(step_, view, &list_);
  std::mt19937 random(3);
  std::vector<int> middle(static_cast<size_t>(task_.context_pages() - 2)), chosen;
  std::iota(middle.begin(), middle.end(), 1);
  for (int row = 0; row < task_.rows(); ++row) {
    chosen.clear();
    std::ranges::sample(middle, std::back_inserter(chosen), task_.pages - 2, random);
    const auto& table = step_.sequences[static_cast<size_t>(row / task_.kv_heads)].table;
    auto slot = list_.pages.begin() + list_.offsets[static_cast<size_t>(row)] + 1;
    for (int page : chosen) *slot++ = view.page_id(table, page, row % task_.kv_heads);
  }
}

Result<double> DecodeCase::compare(std::span<const float> out, double tolerance, CopyPage copy) const {
  double worst = 0;
  for (int row = 0; row < task_.rows(); ++row) {
    const int sequence = row / task_.kv_heads;
    if (sequence == 0 || sequence == task_.batch - 1) worst = std::max(worst, row_error(row, out, copy));
  }
  if (worst <= tolerance) return worst;
  return Error{ErrorCode::kInternal, "bench attention",
               fmt::format("the result is {:.2g} off from that of plain loops", worst), "please report it"};
}

double DecodeCase::row_error(int row, std::span<const float> out, CopyPage copy) const {
  const auto pages = list_.row(row);
  std::vector<std::vector<std::byte>> memory(static_cast<size_t>(task_.fields()));
  std::vector<FieldView> fields;
  for (size_t f = 0; f < memory.size(); ++f) {
    memory[f].resize(pages.size() * static_cast<size_t>(task_.page_bytes()));
    for (size_t i = 0; i < pages.size(); ++i)
      copy(static_cast<int>(f), pages[i], memory[f].data() + i * static_cast<size_t>(task_.page_bytes()));
    fields.push_back({memory[f].data(), task_.page_bytes(), task_.page_tokens, task_.head_dim, DType::kBF16});
  }
  const PageView view{fields, 1, task_.page_tokens, task_.page_tokens};
  PageList list;
  list.offsets = {0, static_cast<int32_t>(pages.size())};
  list.pages.resize(pages.size());
  std::iota(list.pages.begin(), list.pages.end(), 0);
  list.last_tokens = {list_.last_tokens[static_cast<size_t>(row)]};
  const auto group = static_cast<size_t>(task_.group), dim = group * static_cast<size_t>(task_.value_dim());
  const AttentionShape shape{.group = task_.group, .scale = task_.scale, .latent_rank = task_.latent_rank};
  std::vector<float> expected(dim);
  make_ref_attention_ops()->decode(
      view, list, shape, queries_.data() + static_cast<size_t>(row) * group * static_cast<size_t>(task_.head_dim),
      expected.data());
  double largest = 0, worst = 0;
  for (size_t i = 0; i < dim; ++i) {
    const double off = std::abs(double{out[static_cast<size_t>(row) * dim + i]} - expected[i]);
    largest = std::max(largest, std::abs(double{expected[i]}));
    worst = off <= worst ? worst : off;  // NaN stays
  }
  return worst / largest;
}

}  // namespace vortex::attention

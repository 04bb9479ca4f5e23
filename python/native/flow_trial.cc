#include "native/flow_trial.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/cpu_features.h"
#include "base/worker_pool.h"
#include "engine/step_plan.h"
#include "tensor/codes.h"
#include "tensor/half.h"
#include "tensor/paged.h"
#include "tensor/sequence_state.h"

namespace vortex::python {
namespace {

/// Rows of `cols` numbers.
void store(const float* from, int64_t rows, int cols, DType dtype, std::byte* to) {
  if (dtype == DType::kCode8) return encode_page(CodeLayout(dtype, static_cast<int>(rows), cols), from, to);
  const int64_t count = rows * cols;
  if (dtype == DType::kF32) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  const auto round = dtype == DType::kBF16 ? f32_to_bf16 : f32_to_f16;
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t half = round(from[i]);
    std::memcpy(to + 2 * i, &half, sizeof(half));
  }
}

int64_t page_count(const flow::Plan& plan, int64_t tokens) {
  const int64_t page_tokens = plan.graph.shape.page_tokens;
  return (tokens + page_tokens - 1) / page_tokens;
}

/// The pages of one sequence in order, a slab each, with every field of a flow.
class TrialPages {
 public:
  TrialPages(const flow::Plan& plan, const TrialArrays& arrays)
      : arrays_(arrays), table_(static_cast<size_t>(page_count(plan, arrays.tokens))) {
    std::iota(table_.begin(), table_.end(), 0);
    const auto rows = static_cast<int64_t>(table_.size()) * arrays.kv_heads;
    for (const FieldSpec& spec : plan.fields) {
      auto& memory = memory_.emplace_back(static_cast<size_t>(rows * spec.page_bytes()));
      fields_.push_back({memory.data(), spec.page_bytes(), spec.rows, spec.cols, spec.dtype});
    }
    const int page_tokens = plan.graph.shape.page_tokens;
    view_ = {fields_, static_cast<int>(arrays.kv_heads), page_tokens, page_tokens};
    for (size_t field = 0; field < arrays.bases.size(); ++field) fill(field);
  }

  const PageView& view() const { return view_; }
  std::span<const SlabId> table() const { return table_; }
  int32_t logical_page(PageId id) const { return id / view_.kv_heads; }

  std::vector<PageId> full_pages() const {
    std::vector<PageId> pages;
    for (int64_t j = 0; j < arrays_.tokens / view_.page_tokens; ++j)
      for (int head = 0; head < view_.kv_heads; ++head) pages.push_back(view_.page_id(table_, j, head));
    return pages;
  }

 private:
  void fill(size_t index) {
    const FieldView& field = fields_[index];
    for (int head = 0; head < view_.kv_heads; ++head) {
      const float* rows = arrays_.bases[index] + head * arrays_.tokens * field.cols;
      for (int64_t token = 0; token < arrays_.tokens; token += view_.page_tokens) {
        const int64_t count = std::min<int64_t>(view_.page_tokens, arrays_.tokens - token);
        const PageId page = view_.page_id(table_, token / view_.page_tokens, head);
        store(rows + token * field.cols, count, field.cols, field.dtype, field.page(page));
      }
    }
  }

  const TrialArrays& arrays_;
  std::vector<SlabId> table_;
  std::vector<std::vector<std::byte>> memory_;
  std::vector<FieldView> fields_;
  PageView view_;
};

Status check_arrays(const flow::Plan& plan, const TrialArrays& arrays) {
  const auto fault = [](std::string message) {
    return Error{ErrorCode::kInvalidArgument, "select_pages", std::move(message), ""};
  };
  if (static_cast<int>(arrays.bases.size()) != plan.base_fields)
    return fault(fmt::format("{} is a flow over {}", plan.graph.name,
                             plan.base_fields == 1 ? "latents: give them alone" : "keys and values: give both"));
  if (arrays.tokens < 1 || arrays.kv_heads < 1) return fault("no tokens");
  if (arrays.tokens > std::numeric_limits<int32_t>::max() / arrays.kv_heads)
    return fault(fmt::format("{} tokens of {} heads are too many", arrays.tokens, arrays.kv_heads));
  int64_t page_bytes = 0;
  for (const FieldSpec& field : plan.fields) page_bytes += field.page_bytes();
  const int64_t pages = page_count(plan, arrays.tokens) * arrays.kv_heads, most = memory_limit_bytes() / 2;
  if (most > 0 && page_bytes > most / pages)
    return Error{ErrorCode::kResourceExhausted, "select_pages",
                 fmt::format("{} pages of {} bytes do not fit the memory", pages, page_bytes), "give fewer tokens"};
  return {};
}

/// Scores of the pages that compete, row by row.
std::vector<float> middle_scores(flow::CompiledFlow& flow, const TrialPages& pages, const StepPlan& step,
                                 const float* queries) {
  const SequencePlan& sequence = step.sequences[0];
  const int64_t held = sequence.pages;
  std::vector<float> out(static_cast<size_t>(step.rows() * held), std::numeric_limits<float>::quiet_NaN());
  for (int row = 0; sequence.sparse() && row < step.rows(); ++row) {
    const std::vector<float> scores = flow.scores(pages.view(), step, row, queries);
    std::copy(scores.begin() + step.reserved_bos, scores.begin() + held - step.reserved_eos,
              out.begin() + row * held + step.reserved_bos);
  }
  return out;
}

std::vector<std::vector<int32_t>> logical_pages(const TrialPages& pages, const PageList& list) {
  std::vector<std::vector<int32_t>> out(static_cast<size_t>(list.rows()));
  for (int row = 0; row < list.rows(); ++row) {
    auto& chosen = out[static_cast<size_t>(row)];
    for (PageId id : list.row(row)) chosen.push_back(pages.logical_page(id));
    std::ranges::sort(chosen);
  }
  return out;
}

}  // namespace

Result<TrialResult> try_flow(flow::Graph graph, const TrialArrays& arrays, const VortexConfig& config,
                             flow::BackendKind backend, DType kv_dtype) {
  WorkerPool pool(1);
  const flow::FlowOptions options = {.dtype = config.field_dtype(), .backend = backend, .kv_dtype = kv_dtype};
  VORTEX_ASSIGN_OR_RETURN(const auto flow, flow::CompiledFlow::compile(std::move(graph), options, &pool));
  VORTEX_RETURN_IF_ERROR(check_arrays(flow->plan(), arrays));
  VORTEX_ASSIGN_OR_RETURN(const PageBudget budget, PageBudget::create(config, flow->plan().middle_pages()));
  const TrialPages pages(flow->plan(), arrays);
  const std::vector<PageId> full = pages.full_pages();
  if (!full.empty()) flow->update(pages.view(), full);

  SequenceState state;
  SequencePlan sequence = plan_sequence(pages.table(), arrays.tokens, pages.view().page_tokens, &budget);
  sequence.state = &state;
  const StepPlan step{.kv_heads = pages.view().kv_heads,
                      .reserved_bos = static_cast<int>(config.block_reserved_bos),
                      .reserved_eos = static_cast<int>(config.block_reserved_eos),
                      .sequences = {sequence}};
  PageList list;
  list_reserved_pages(step, pages.view(), &list);
  TrialResult result{.held = sequence.pages, .scores = middle_scores(*flow, pages, step, arrays.queries)};
  VORTEX_RETURN_IF_ERROR(flow->select(pages.view(), step, arrays.queries, &list));
  result.pages = logical_pages(pages, list);
  return result;
}

}  // namespace vortex::python

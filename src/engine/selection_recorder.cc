#include "engine/selection_recorder.h"

#include <fmt/core.h>

#include <algorithm>

#include "engine/completion.h"
#include "flow/flow.h"

namespace vortex {
namespace {

constexpr int64_t kMaxRecordBytes = int64_t{1} << 30;

/// Numbers in the sequence of the pages that a row lists.
std::vector<int32_t> logical_pages(const PageView& view, const SequencePlan& sequence, int head,
                                   std::span<const PageId> listed) {
  std::vector<PageId> ids(listed.begin(), listed.end());
  std::ranges::sort(ids);
  std::vector<int32_t> pages;
  for (int32_t j = 0; j < sequence.pages; ++j)
    if (std::ranges::binary_search(ids, view.page_id(sequence.table, j, head))) pages.push_back(j);
  return pages;
}

}  // namespace

void SelectionRecorder::watch(int sequence, const SequencePlan& plan, SelectionRecord* record) {
  while (!record->steps.empty() && record->steps.back().tokens >= plan.tokens) record->steps.pop_back();
  record->steps.push_back({plan.tokens, plan.pages, {}});
  if (plan.sparse()) watched_.emplace_back(sequence, record);
}

void SelectionRecorder::on_selection(const model::Selection& selection, PageList* list) {
  const StepPlan& plan = *selection.plan;
  for (const auto& [index, record] : watched_) {
    const SequencePlan& sequence = plan.sequences[static_cast<size_t>(index)];
    for (int head = 0; head < plan.kv_heads; ++head) {
      const int row = index * plan.kv_heads + head;
      record->steps.back().rows.push_back({logical_pages(*selection.pages, sequence, head, list->row(row)),
                                           flow_->scores(*selection.pages, plan, row, selection.queries)});
    }
  }
}

Status check_record(const GenerateRequest& request, int64_t layers, int64_t kv_heads, int64_t page_tokens,
                    int64_t max_length) {
  if (request.selections == nullptr) return {};
  if (layers == 0)
    return Error{ErrorCode::kInvalidArgument, "selections", "attention is dense: there is nothing to explain",
                 "start the engine with a flow"};
  if (request.n != 1)
    return Error{ErrorCode::kInvalidArgument, "selections", fmt::format("{} answers", request.n), "ask for one"};
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  const int64_t room = std::max<int64_t>(max_length - prompt, 0);
  const int64_t steps = request.sampling.max_tokens < 0 ? room : std::min(request.sampling.max_tokens, room);
  const int64_t pages = (prompt + steps) / page_tokens + 1;
  // In floating point: the product of numbers from outside may not fit 64 bits. A score and at most a number a page.
  const double bytes = 8.0 * static_cast<double>(steps) * static_cast<double>(layers * kv_heads * pages);
  if (bytes <= static_cast<double>(kMaxRecordBytes)) return {};
  return Error{ErrorCode::kResourceExhausted, "selections",
               fmt::format("a record of {} steps over {} pages takes {:.1f} GiB, the most is 1", steps, pages,
                           bytes / static_cast<double>(int64_t{1} << 30)),
               "lower max_tokens"};
}

}  // namespace vortex

// What a request's decode steps selected, and how the flow scored the pages: for explanations.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/layers.h"

namespace vortex {

struct GenerateRequest;

/// One kv head of one layer at one step.
struct RowSelection {
  std::vector<int32_t> pages;  // numbers in the sequence of what attention read, ascending
  std::vector<float> scores;   // of pages [0, n - block_reserved_eos), as the flow gave them; higher is better
};

/// One decode step. The first one gives an answer's second token: the first comes from the prompt.
struct SelectionStep {
  int64_t tokens = 0;              // in the cache, the one that is decoded included
  int64_t pages = 0;               // n: that they fill
  std::vector<RowSelection> rows;  // layer after layer, kv_heads of each; empty: every page was read
};

struct SelectionRecord {
  std::vector<int> layers;  // that select
  int kv_heads = 0;
  int page_tokens = 0;
  std::vector<SelectionStep> steps;
};

/// Fills the records of those sequences of a step that have one. Costs a second scoring of every row that it watches.
class SelectionRecorder final : public model::SelectionHook {
 public:
  explicit SelectionRecorder(flow::CompiledFlow* flow) : flow_(flow) {}

  /// A step begins: nobody is watched.
  void clear() { watched_.clear(); }
  bool idle() const { return watched_.empty(); }
  /// `sequence` is its index in the step's plan. A step that runs again, after preemption, replaces what it recorded.
  void watch(int sequence, const SequencePlan& plan, SelectionRecord* record);

  void on_selection(const model::Selection& selection, PageList* list) override;

 private:
  flow::CompiledFlow* flow_;
  std::vector<std::pair<int, SelectionRecord*>> watched_;
};

/// kInvalidArgument when the request asks for a record of several answers or of a dense engine (`layers` is 0);
/// kResourceExhausted when its record could take more than 1 GiB: `max_length` bounds prompt and answer together.
Status check_record(const GenerateRequest& request, int64_t layers, int64_t kv_heads, int64_t page_tokens,
                    int64_t max_length);

}  // namespace vortex

// Recall: every question under every variant, after one prefill each; who was right, and what was read.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "engine/flow_lab.h"
#include "eval/recall_data.h"

namespace vortex::eval {

constexpr int64_t kRecallNewTokens = 96;

struct Score {
  int64_t right = 0, asked = 0;

  void add(bool ok) {
    right += ok;
    ++asked;
  }
  double share() const { return asked > 0 ? static_cast<double>(right) / static_cast<double>(asked) : 0.0; }
};

/// Of one variant.
struct Tally {
  Score all;
  std::map<std::string, Score> by_task;
  std::map<int64_t, Score> by_length;
  std::map<std::pair<std::string, int64_t>, Score> cells;  // by task and length
  LabReads reads;

  /// Right when the row's answer is part of the text.
  void add(const RecallRow& row, const LabAnswer& answer);
};

/// Which questions; empty and 0 mean all.
struct RecallFilter {
  std::vector<std::string> tasks;
  std::vector<int64_t> lengths;
  int64_t limit = 0;
};

/// The rows that pass, in their order. kInvalidArgument, with `where`, when none is left.
Result<std::vector<RecallRow>> choose_rows(std::vector<RecallRow> rows, const RecallFilter& filter,
                                           const std::string& where);

/// Answers given so far, of rows times variants; also called within a long prompt. False: stop.
using OnAnswers = FunctionRef<bool(int64_t done)>;

/// Tallies by variant of the lab. One question after the other: the answer to one never depends on another, and each
/// prompt fills the machine. Errors name the row; kCancelled when `on_answers` says so.
Result<std::vector<Tally>> ask_recall(FlowLab& lab, const std::vector<RecallRow>& rows, OnAnswers on_answers);

}  // namespace vortex::eval

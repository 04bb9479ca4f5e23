#include "eval/recall.h"

#include <algorithm>
#include <set>

#include "eval/conversation.h"
#include "eval/json_lines.h"

namespace vortex::eval {
namespace {

Result<std::vector<std::vector<int32_t>>> encode(const FlowLab& lab, const std::vector<RecallRow>& rows) {
  std::vector<std::vector<int32_t>> prompts;
  for (const RecallRow& row : rows) {
    auto prompt = encode_conversation(lab.codec(), {{"messages", row.messages}});
    if (!prompt.ok()) return at_line(row.where, prompt.error());
    prompts.push_back(std::move(prompt).value());
  }
  return prompts;
}

Error stopped() { return {ErrorCode::kCancelled, "eval recall", "stopped", ""}; }

}  // namespace

void Tally::add(const RecallRow& row, const LabAnswer& answer) {
  const bool ok = answer.text.find(row.answer) != std::string::npos;
  all.add(ok);
  by_task[row.task].add(ok);
  by_length[row.length].add(ok);
  cells[{row.task, row.length}].add(ok);
  reads.add(answer.reads);
}

Result<std::vector<RecallRow>> choose_rows(std::vector<RecallRow> rows, const RecallFilter& filter,
                                           const std::string& where) {
  const std::set<std::string> tasks(filter.tasks.begin(), filter.tasks.end());
  const std::set<int64_t> lengths(filter.lengths.begin(), filter.lengths.end());
  std::erase_if(rows, [&](const RecallRow& row) {
    return (!tasks.empty() && !tasks.contains(row.task)) || (!lengths.empty() && !lengths.contains(row.length));
  });
  if (filter.limit > 0 && static_cast<int64_t>(rows.size()) > filter.limit)
    rows.resize(static_cast<size_t>(filter.limit));
  if (rows.empty())
    return Error{ErrorCode::kInvalidArgument, where, "no question is left", "check --tasks, --lengths and --limit"};
  return rows;
}

Result<std::vector<Tally>> ask_recall(FlowLab& lab, const std::vector<RecallRow>& rows, OnAnswers on_answers) {
  VORTEX_ASSIGN_OR_RETURN(const auto prompts, encode(lab, rows));
  size_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
  VORTEX_RETURN_IF_ERROR(lab.reserve(static_cast<int64_t>(longest), kRecallNewTokens));
  std::vector<Tally> tallies(lab.variants().size());
  int64_t done = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Status ready = lab.prefill(prompts[i], [&](int64_t) { return on_answers(done); });
    if (!ready.ok()) return at_line(rows[i].where, ready.error());
    for (size_t v = 0; v < tallies.size(); ++v) {
      const Result<LabAnswer> answer = lab.answer(v, kRecallNewTokens);
      if (!answer.ok()) return at_line(rows[i].where, answer.error());
      tallies[v].add(rows[i], *answer);
      if (!on_answers(++done)) return stopped();
    }
  }
  return tallies;
}

}  // namespace vortex::eval

// Recall questions: JSON lines {"messages": [...], "answer": "...", "task": "...", "length": N}, plain or gzipped.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace vortex::eval {

struct RecallRow {
  nlohmann::ordered_json messages;
  std::string answer;  // right when the generated text contains it
  std::string task;
  int64_t length = 0;  // nominal context length
  std::string where;   // "FILE:LINE"
};

/// kNotFound, or kDataLoss naming file and line.
Result<std::vector<RecallRow>> read_recall_data(const std::string& path);

}  // namespace vortex::eval

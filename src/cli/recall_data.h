// Recall questions: JSON lines {"messages": [...], "answer": "...", "task": "...", "length": N}, plain or gzipped.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace vortex::cli {

struct RecallRow {
  nlohmann::ordered_json messages;
  std::string answer;  // right when the generated text contains it
  std::string task;
  int64_t length = 0;  // nominal context length
  int64_t line = 0;    // in the file, from 1
};

/// kNotFound, or kDataLoss naming file and line.
Result<std::vector<RecallRow>> read_recall_data(const std::string& path);

}  // namespace vortex::cli

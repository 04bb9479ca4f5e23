// RULER's questions: JSON lines {"input": "...", "outputs": ["...", ...]}, plain or gzipped.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace vortex::eval {

struct RulerRow {
  std::string input;   // the user's message
  std::string output;  // outputs[0]; right when the generated text contains it
  std::string where;   // "FILE:LINE"
};

/// kNotFound, or kDataLoss naming file and line.
Result<std::vector<RulerRow>> read_ruler_data(const std::string& path);

}  // namespace vortex::eval

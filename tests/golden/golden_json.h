// Golden files: what other implementations computed for the same ids.
#pragma once

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vortex::testing {

inline nlohmann::json load_golden(const std::string& name) {
  return nlohmann::json::parse(std::ifstream(std::string(VORTEX_SOURCE_DIR) + "/tests/data/" + name));
}

inline double log_sum_exp(const std::vector<float>& logits) {
  double max = -INFINITY, sum = 0;
  for (float x : logits) max = std::max<double>(max, x);
  for (float x : logits) sum += std::exp(x - max);
  return max + std::log(sum);
}

}  // namespace vortex::testing

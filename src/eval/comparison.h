// Comparison: results of `vortex bench latency --json`, side by side.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace vortex::eval {

/// The runs of one contender: the JSON objects of a file, one after the other (`>> FILE` of several runs).
struct Runs {
  std::string name;  // the file
  std::vector<nlohmann::json> runs;
};

/// kDataLoss for a file that holds anything but results of a latency benchmark, kInvalidArgument for runs of different
/// lengths or batches.
Result<Runs> read_runs(const std::string& path);

/// One figure of all contenders: medians over their runs, and how many times as good as the first.
struct ComparedFigure {
  std::string name;  // "itl_ms/p50"
  std::vector<double> medians;
  std::vector<double> ratios;  // above 1: faster than the first contender; 0 where one of the two is 0
};

/// Figures that all contenders have. kInvalidArgument when they measured different things.
Result<std::vector<ComparedFigure>> compare(std::span<const Runs> contenders);

}  // namespace vortex::eval

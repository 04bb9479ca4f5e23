// Runs another program and waits for it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace vortex::toolchain {

struct ProcessResult {
  int status = 0;  // of exit; 128 + signal when killed
  bool timed_out = false;
  std::string output;  // stdout and stderr as they came; what is over the bound is dropped
};

struct ProcessLimits {
  std::chrono::milliseconds time{20'000};
  size_t output_bytes = 256 << 10;
};

/// Starts argv[0] (a path) without a shell, with no input and messages in English. Past the time limit the program and
/// everything it started are killed. kUnavailable when it cannot be started.
Result<ProcessResult> run_process(std::vector<std::string> argv, const ProcessLimits& limits = {});

}  // namespace vortex::toolchain

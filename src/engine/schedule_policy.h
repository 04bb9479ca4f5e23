// SchedulePolicy: a budget as code (spec/config.md 4). The operator's text is the body of a function that returns how
// many pages a row reads; the compiler of this machine makes it callable.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace vortex {

/// What the body sees.
struct PolicyInput {
  int cached_block_len;  // pages of the sequence, a partial last one and the token being decoded included
  int topk_val;
  int block_reserved_bos;
  int block_reserved_eos;
  float topk_ratio;
};

class SchedulePolicy {
 public:
  /// Compiles the text (or finds it compiled), then runs it once for every cached_block_len up to 32,767 in a process
  /// of its own, so that a division by zero or an endless loop is an error here and not the end of the engine.
  /// `input.cached_block_len` is not read. Errors have line and column of the text; there is no fallback.
  static Result<SchedulePolicy> compile(const std::string& text, PolicyInput input,
                                        const std::optional<std::string>& cache_dir);

  /// What the body returns, not clamped.
  int operator()(const PolicyInput& input) const {
    return function_(input.cached_block_len, input.topk_val, input.block_reserved_bos, input.block_reserved_eos,
                     input.topk_ratio);
  }

 private:
  using Function = int(int, int, int, int, float);
  explicit SchedulePolicy(Function* function) : function_(function) {}
  Function* function_;
};

}  // namespace vortex

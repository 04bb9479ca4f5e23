// Tokens sorted by expert: one row for each expert of each token, rows of one expert side by side.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vortex::model {

class ExpertRows {
 public:
  /// The rows of one expert.
  struct Run {
    int expert = 0;
    int64_t begin = 0, end = 0;
    int64_t count() const { return end - begin; }
  };

  /// From [tokens, per_token] experts below `experts`, none twice in a token.
  void assign(std::span<const int32_t> chosen, int per_token, int experts);

  /// Experts that have rows, ascending; together all rows in order.
  std::span<const Run> runs() const { return runs_; }
  /// [tokens, per_token]: where each of them went. Within an expert, tokens keep their order.
  std::span<const int64_t> row_of() const { return row_of_; }
  /// [rows]: whose each row is.
  std::span<const int64_t> token_of() const { return token_of_; }

 private:
  std::vector<int64_t> next_;
  std::vector<int64_t> row_of_, token_of_;
  std::vector<Run> runs_;
};

}  // namespace vortex::model

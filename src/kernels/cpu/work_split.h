// How the products of one call are shared among threads: by bytes of weights over all products together, and by
// tokens too when there are too few panels to go round.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vortex::kernels::cpu {

/// A product's panels, `bytes` each.
struct PanelSpan {
  int64_t panels = 0;
  int64_t bytes = 0;
};
struct PanelRange {
  int64_t begin = 0, end = 0;
};
struct TokenRange {
  int64_t begin = 0, end = 0;
};

class WorkSplit {
 public:
  /// `spans` must outlive the split.
  WorkSplit(std::span<const PanelSpan> spans, int64_t tokens, int threads);

  int parts() const { return panel_parts_ * token_parts_; }
  /// Bytes of weights read, once a token.
  int64_t cost() const { return total_bytes_ * tokens_; }
  /// Panels of product `index` that belong to `part`; empty for parts that have nothing to do.
  PanelRange panel_range(int part, size_t index) const;
  /// Whole chunks of kTokenChunk, but for the last.
  TokenRange token_range(int part) const;

 private:
  std::span<const PanelSpan> spans_;
  int64_t tokens_;
  int64_t total_bytes_ = 0;
  int panel_parts_;
  int token_parts_ = 1;
};

}  // namespace vortex::kernels::cpu

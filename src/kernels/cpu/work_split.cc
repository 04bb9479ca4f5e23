#include "kernels/cpu/work_split.h"

#include <algorithm>

#include "kernels/cpu/isa_kernels.h"

namespace vortex::kernels::cpu {
namespace {

constexpr int64_t kPanelsPerPart = 4;  // fewer, and one panel more or less is felt
constexpr int64_t kTokensPerPart = 2 * kTokenChunk;

/// The first panel of a span starting at byte `offset` of the whole that starts at or after byte `at`.
int64_t first_panel(const PanelSpan& span, int64_t offset, int64_t at) {
  if (at <= offset) return 0;
  return std::min(span.panels, (at - offset + span.bytes - 1) / span.bytes);
}

}  // namespace

WorkSplit::WorkSplit(std::span<const PanelSpan> spans, int64_t tokens, int threads)
    : spans_(spans), tokens_(tokens), panel_parts_(threads) {
  int64_t panels = 0;
  for (const PanelSpan& span : spans_) {
    panels += span.panels;
    total_bytes_ += span.panels * span.bytes;
  }
  while (panel_parts_ % 2 == 0 && panels < kPanelsPerPart * panel_parts_ &&
         tokens_ >= 2 * token_parts_ * kTokensPerPart) {
    panel_parts_ /= 2;
    token_parts_ *= 2;
  }
}

PanelRange WorkSplit::panel_range(int part, size_t index) const {
  int64_t offset = 0;
  for (size_t i = 0; i < index; ++i) offset += spans_[i].panels * spans_[i].bytes;
  const int64_t place = part % panel_parts_;
  return {first_panel(spans_[index], offset, total_bytes_ * place / panel_parts_),
          first_panel(spans_[index], offset, total_bytes_ * (place + 1) / panel_parts_)};
}

TokenRange WorkSplit::token_range(int part) const {
  const int64_t place = part / panel_parts_;
  const int64_t chunks = (tokens_ + kTokenChunk - 1) / kTokenChunk;
  return {chunks * place / token_parts_ * kTokenChunk,
          std::min(tokens_, chunks * (place + 1) / token_parts_ * kTokenChunk)};
}

}  // namespace vortex::kernels::cpu

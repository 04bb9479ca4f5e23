#include "kernels/cpu/work_split.h"

#include "kernels/cpu/isa_kernels.h"

namespace vortex::kernels::cpu {
namespace {

constexpr int64_t kPanelsPerThread = 4;  // fewer, and one panel more or less is felt
constexpr int64_t kTokensPerPiece = 2 * kTokenChunk;

}  // namespace

void WorkSplit::clear() {
  runs_.clear();
  cost_ = 0;
}

void WorkSplit::add(int64_t panels, int64_t panel_cost) {
  runs_.push_back({cost_, panels, panel_cost});
  cost_ += panels * panel_cost;
}

size_t WorkSplit::run_at(int64_t cost) const {
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), cost, [](int64_t at, const Run& run) { return at < run.begin; });
  return after == runs_.begin() ? 0 : static_cast<size_t>(after - runs_.begin()) - 1;
}

int64_t token_pieces(int64_t panels, int64_t tokens, int threads) {
  int64_t pieces = 1;
  while (panels * pieces < kPanelsPerThread * threads && tokens >= 2 * pieces * kTokensPerPiece) pieces *= 2;
  return pieces;
}

}  // namespace vortex::kernels::cpu

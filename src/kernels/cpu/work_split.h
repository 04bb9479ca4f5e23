// How the products of one call are shared among threads: all their panels in one line, cut where the cost is equal.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vortex::kernels::cpu {

struct PanelRange {
  int64_t begin = 0, end = 0;
};

class WorkSplit {
 public:
  void clear();
  /// The next run: `panels` panels that cost the same.
  void add(int64_t panels, int64_t panel_cost);

  int64_t cost() const { return cost_; }

  /// body(index of the run, PanelRange) for every run that has panels in part `part` of `parts`.
  template <class Body>
  void for_each(int part, int parts, Body body) const {
    const int64_t begin = cost_ * part / parts, end = cost_ * (part + 1) / parts;
    for (size_t i = run_at(begin); i < runs_.size() && runs_[i].begin < end; ++i) {
      const PanelRange range{first_panel(runs_[i], begin), first_panel(runs_[i], end)};
      if (range.begin < range.end) body(i, range);
    }
  }

 private:
  struct Run {
    int64_t begin;  // cost of all runs before this one
    int64_t panels;
    int64_t panel_cost;
  };

  /// The run in which the line reaches `cost`.
  size_t run_at(int64_t cost) const;
  /// The first panel that starts at or after `cost`.
  static int64_t first_panel(const Run& run, int64_t cost) {
    if (cost <= run.begin) return 0;
    return std::min(run.panels, (cost - run.begin + run.panel_cost - 1) / run.panel_cost);
  }

  std::vector<Run> runs_;
  int64_t cost_ = 0;
};

/// Into how many pieces the tokens of a product are cut when a call has too few panels to go round.
int64_t token_pieces(int64_t panels, int64_t tokens, int threads);

}  // namespace vortex::kernels::cpu

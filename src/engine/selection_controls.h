// Controls: selections to measure flows against, and a meter of what a selection keeps.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/attention_mass.h"
#include "model/layers.h"
#include "sample/sampler.h"

namespace vortex {

/// Names that stand in for a flow's: "oracle" (the pages with the most attention mass: the best any flow can do),
/// "random" (the worst that makes sense), "all" (every page, by the path of sparse attention: no error of its own),
/// "shuffled" (the same out of order: what rounding alone does).
bool is_control(std::string_view name);
/// The controls on one line, for --help.
std::string_view controls_help();

/// The hook of a control; null for any other name. `pool` must outlive it. A hook of the same seed chooses the same.
std::unique_ptr<model::SelectionHook> make_control(std::string_view name, WorkerPool* pool, uint64_t seed);

/// Attention mass on the chosen pages, by layer.
class MassMeter final : public model::SelectionHook {
 public:
  MassMeter(int layers, WorkerPool* pool);
  void on_selection(const model::Selection& selection, PageList* list) override;

  /// Mean over sparse rows and steps, by layer; 1 where nothing was left out.
  std::vector<double> by_layer() const;

 private:
  struct Mean {
    double sum = 0;
    int64_t count = 0;
  };
  AttentionMass mass_;
  std::vector<Mean> layers_;
  std::vector<PageId> chosen_;
};

}  // namespace vortex

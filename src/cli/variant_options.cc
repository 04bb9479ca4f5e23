#include "cli/variant_options.h"

#include <algorithm>

#include "cli/model_options.h"
#include "engine/selection_controls.h"

namespace vortex::cli {

void VariantOptions::add_to(CLI::App& app) {
  constexpr const char* kGroup = "Variants";
  app.add_option("--flows,--flow", lists_.flows,
                 fmt::format("Flows to compare, by name or file; also dense, {}", controls_help()))
      ->delimiter(',')
      ->group(kGroup);
  app.add_option("--vortex-config", configs_, "Sparse attention settings as JSON, or @FILE; may be given several times")
      ->allow_extra_args(false)
      ->group(kGroup);
  app.add_option("--topk", lists_.topk, "Pages to select, beside the reserved ones: one variant each")
      ->delimiter(',')
      ->group(kGroup);
  app.add_option("--ratio", lists_.ratios, "Budgets as shares of the pages (topk_ratio): one variant each")
      ->delimiter(',')
      ->group(kGroup);
  app.add_option(
         "--block-size", lists_.block_sizes,
         "Tokens of a page: one variant each. Page counts are meant for the first, and scaled to the same tokens")
      ->delimiter(',')
      ->group(kGroup);
  app.add_option("--layers-skip", lists_.layers_skip, "Layers that stay dense")->delimiter(',')->group(kGroup);
}

Result<std::vector<EvalVariant>> VariantOptions::variants() const {
  eval::VariantLists lists = lists_;
  for (const std::string& argument : configs_) {
    VORTEX_ASSIGN_OR_RETURN(const std::optional<VortexConfig> config, read_vortex_config(argument));
    if (config) lists.configs.push_back(*config);
  }
  if (lists.configs.empty() && !configs_.empty()) return std::vector<EvalVariant>{eval::dense_variant()};
  return make_variants(lists);
}

int name_width(std::span<const EvalVariant> variants) {
  size_t width = std::string_view("variant").size();
  for (const EvalVariant& variant : variants) width = std::max(width, variant.lab.name.size());
  return static_cast<int>(width) + 1;
}

}  // namespace vortex::cli

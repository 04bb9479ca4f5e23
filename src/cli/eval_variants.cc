#include "cli/eval_variants.h"

#include <algorithm>
#include <functional>
#include <set>

#include "cli/model_options.h"
#include "engine/flow_setup.h"
#include "engine/selection_controls.h"

namespace vortex::cli {
namespace {

constexpr std::string_view kDense = "dense";

/// Calls make(config, value) for every config and value; the configs as they are when there are no values.
template <class T>
void cross(const std::vector<T>& values, std::vector<VortexConfig>* configs,
           const std::function<void(VortexConfig&, const T&)>& set) {
  if (values.empty()) return;
  std::vector<VortexConfig> out;
  for (const VortexConfig& config : *configs) {
    for (const T& value : values) {
      out.push_back(config);
      set(out.back(), value);
    }
  }
  *configs = std::move(out);
}

/// Pages of another size that hold the same tokens.
int64_t same_tokens(int64_t pages, int64_t from, int64_t to) { return (pages * from + to - 1) / to; }

std::string skip_text(const VortexConfig& config) {
  std::string out = "skip";
  for (int64_t layer : config.layers_skip.value_or(std::vector<int64_t>{})) out += fmt::format(" {}", layer);
  return config.layers_skip && !config.layers_skip->empty() ? out : "skip none";
}

/// What may tell two variants of a flow apart, as it stands in their names; `budget`: it only moves along a line.
struct Trait {
  bool budget;
  std::string (*text)(const VortexConfig&);
};
constexpr Trait kTraits[] = {
    {false, [](const VortexConfig& c) { return fmt::format("page {}", c.block_size); }},
    {false, [](const VortexConfig& c) { return skip_text(c); }},
    {false,
     [](const VortexConfig& c) { return fmt::format("bos {} eos {}", c.block_reserved_bos, c.block_reserved_eos); }},
    {false, [](const VortexConfig& c) { return c.dtype; }},
    {false, [](const VortexConfig& c) { return std::string(c.schedule_policy ? "policy" : "no policy"); }},
    {true, [](const VortexConfig& c) { return fmt::format("topk {}", c.topk_val); }},
    {true, [](const VortexConfig& c) { return fmt::format("ratio {}", c.topk_ratio); }},
};

std::string flow_text(const VortexConfig& config) {
  return config.module_name.value_or(config.module_path.value_or("no flow"));
}

void name_variants(const std::vector<VortexConfig>& configs, std::vector<EvalVariant>* out) {
  std::vector<Trait> told;
  for (const Trait& trait : kTraits) {
    const auto differs = [&](const VortexConfig& c) { return trait.text(c) != trait.text(configs.front()); };
    if (std::ranges::any_of(configs, differs)) told.push_back(trait);
  }
  for (const VortexConfig& config : configs) {
    EvalVariant variant{{flow_text(config), config}, flow_text(config)};
    for (const Trait& trait : told) {
      variant.lab.name += ", " + trait.text(config);
      if (!trait.budget) variant.series += ", " + trait.text(config);
    }
    out->push_back(std::move(variant));
  }
}

}  // namespace

void VariantOptions::add_to(CLI::App& app) {
  constexpr const char* kGroup = "Variants";
  app.add_option("--flows,--flow", flows_,
                 fmt::format("Flows to compare, by name or file; also dense, {}", controls_help()))
      ->delimiter(',')
      ->group(kGroup);
  app.add_option("--vortex-config", configs_, "Sparse attention settings as JSON, or @FILE; may be given several times")
      ->allow_extra_args(false)
      ->group(kGroup);
  app.add_option("--topk", topk_, "Pages to select, beside the reserved ones: one variant each")
      ->delimiter(',')
      ->group(kGroup);
  app.add_option("--ratio", ratios_, "Budgets as shares of the pages (topk_ratio): one variant each")
      ->delimiter(',')
      ->group(kGroup);
  app.add_option(
         "--block-size", block_sizes_,
         "Tokens of a page: one variant each. Page counts are meant for the first, and scaled to the same tokens")
      ->delimiter(',')
      ->group(kGroup);
  app.add_option("--layers-skip", layers_skip_, "Layers that stay dense")->delimiter(',')->group(kGroup);
}

Result<std::vector<VortexConfig>> VariantOptions::bases() const {
  std::vector<VortexConfig> bases;
  for (const std::string& argument : configs_) {
    VORTEX_ASSIGN_OR_RETURN(const std::optional<VortexConfig> config, read_vortex_config(argument));
    if (config) bases.push_back(*config);
  }
  if (configs_.empty()) bases.emplace_back();
  return bases;
}

std::vector<VortexConfig> VariantOptions::spread(const VortexConfig& base) const {
  std::vector<VortexConfig> configs = {base};
  if (!layers_skip_.empty()) configs[0].layers_skip = layers_skip_;
  cross<int64_t>(topk_, &configs, [](VortexConfig& c, int64_t topk) { c.topk_val = topk; });
  cross<double>(ratios_, &configs, [](VortexConfig& c, double ratio) { c.topk_ratio = ratio; });
  cross<int64_t>(block_sizes_, &configs, [&](VortexConfig& c, int64_t size) {
    c.block_size = size;
    if (size <= 0) return;  // refused later, by name
    const int64_t first = block_sizes_.front();
    c.topk_val = same_tokens(c.topk_val, first, size);
    c.block_reserved_bos = same_tokens(c.block_reserved_bos, first, size);
    c.block_reserved_eos = same_tokens(c.block_reserved_eos, first, size);
  });
  return configs;
}

std::vector<VortexConfig> VariantOptions::under_flows(const std::vector<VortexConfig>& bases) const {
  if (flows_.empty()) return bases;
  std::vector<VortexConfig> out;
  for (const std::string& flow : flows_) {
    if (flow == kDense) continue;
    for (VortexConfig config : bases) {
      config.module_path.reset();
      config.module_name = flow;
      if (!is_control(flow)) set_flow(flow, &config);
      out.push_back(std::move(config));
    }
  }
  return out;
}

Result<std::vector<EvalVariant>> VariantOptions::variants() const {
  VORTEX_ASSIGN_OR_RETURN(const std::vector<VortexConfig> all_bases, bases());
  const bool is_sparse = !flows_.empty() || !configs_.empty() || !topk_.empty() || !ratios_.empty() ||
                         !block_sizes_.empty() || !layers_skip_.empty();
  std::vector<VortexConfig> configs;
  std::set<std::string> seen;
  for (const VortexConfig& base : is_sparse ? under_flows(all_bases) : std::vector<VortexConfig>()) {
    for (const VortexConfig& config : spread(base)) {
      VORTEX_RETURN_IF_ERROR(validate(config, 0));
      if (seen.insert(to_json(config)).second) configs.push_back(config);
    }
  }
  std::vector<EvalVariant> out;
  if (configs.empty() || std::ranges::find(flows_, kDense) != flows_.end())
    out.push_back({{std::string(kDense), std::nullopt}, std::string(kDense)});
  name_variants(configs, &out);
  return out;
}

std::vector<LabVariant> lab_variants(std::span<const EvalVariant> variants) {
  std::vector<LabVariant> out;
  for (const EvalVariant& variant : variants) out.push_back(variant.lab);
  return out;
}

Json config_json(const LabVariant& variant) {
  return variant.config ? Json::parse(to_json(*variant.config)) : Json(nullptr);
}

Json bytes_json(const FlowLab& lab, size_t variant, const LabReads& reads) {
  return {{"metadata_per_page", lab.metadata_bytes_per_page(variant)},
          {"kv_per_page", lab.kv_bytes_per_page(variant)},
          {"metadata_read", reads.metadata_bytes},
          {"kv_read", reads.page_bytes},
          {"kv_held", reads.held_bytes},
          {"read_fraction", reads.byte_fraction()}};
}

int name_width(std::span<const EvalVariant> variants) {
  size_t width = std::string_view("variant").size();
  for (const EvalVariant& variant : variants) width = std::max(width, variant.lab.name.size());
  return static_cast<int>(width) + 1;
}

}  // namespace vortex::cli

#include "eval/variants.h"

#include <algorithm>
#include <functional>
#include <set>

#include "engine/flow_setup.h"
#include "engine/selection_controls.h"

namespace vortex::eval {
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

/// The base under every budget and block size.
std::vector<VortexConfig> spread(const VortexConfig& base, const VariantLists& lists) {
  std::vector<VortexConfig> configs = {base};
  if (!lists.layers_skip.empty()) configs[0].layers_skip = lists.layers_skip;
  cross<int64_t>(lists.topk, &configs, [](VortexConfig& c, int64_t topk) { c.topk_val = topk; });
  cross<double>(lists.ratios, &configs, [](VortexConfig& c, double ratio) { c.topk_ratio = ratio; });
  cross<int64_t>(lists.block_sizes, &configs, [&](VortexConfig& c, int64_t size) {
    c.block_size = size;
    if (size <= 0) return;  // refused later, by name
    const int64_t first = lists.block_sizes.front();
    c.topk_val = same_tokens(c.topk_val, first, size);
    c.block_reserved_bos = same_tokens(c.block_reserved_bos, first, size);
    c.block_reserved_eos = same_tokens(c.block_reserved_eos, first, size);
  });
  return configs;
}

/// Each base under each flow that is not dense; as they are without flows.
std::vector<VortexConfig> under_flows(const std::vector<VortexConfig>& bases, const std::vector<std::string>& flows) {
  if (flows.empty()) return bases;
  std::vector<VortexConfig> out;
  for (const std::string& flow : flows) {
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

}  // namespace

Result<std::vector<EvalVariant>> make_variants(const VariantLists& lists) {
  std::vector<VortexConfig> bases = lists.configs;
  if (bases.empty()) bases.emplace_back();
  const bool is_sparse = !lists.flows.empty() || !lists.configs.empty() || !lists.topk.empty() ||
                         !lists.ratios.empty() || !lists.block_sizes.empty() || !lists.layers_skip.empty();
  if (!is_sparse) bases.clear();
  std::vector<VortexConfig> configs;
  std::set<std::string> seen;
  for (const VortexConfig& base : under_flows(bases, lists.flows)) {
    for (const VortexConfig& config : spread(base, lists)) {
      VORTEX_RETURN_IF_ERROR(validate(config, 0));
      if (seen.insert(to_json(config)).second) configs.push_back(config);
    }
  }
  std::vector<EvalVariant> out;
  if (configs.empty() || std::ranges::find(lists.flows, kDense) != lists.flows.end()) out.push_back(dense_variant());
  name_variants(configs, &out);
  return out;
}

EvalVariant dense_variant() { return {{std::string(kDense), std::nullopt}, std::string(kDense)}; }

std::vector<LabVariant> lab_variants(std::span<const EvalVariant> variants) {
  std::vector<LabVariant> out;
  for (const EvalVariant& variant : variants) out.push_back(variant.lab);
  return out;
}

}  // namespace vortex::eval

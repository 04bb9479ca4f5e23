#include "eval/report_json.h"

#include "base/cpu_features.h"

namespace vortex::eval {
namespace {

/// Null when dense.
Json config_json(const EvalVariant& variant) {
  return variant.lab.config ? Json::parse(to_json(*variant.lab.config)) : Json(nullptr);
}

Json bytes_json(const FlowLab& lab, size_t variant, const LabReads& reads) {
  return {{"metadata_per_page", lab.metadata_bytes_per_page(variant)},
          {"kv_per_page", lab.kv_bytes_per_page(variant)},
          {"metadata_read", reads.metadata_bytes},
          {"kv_read", reads.page_bytes},
          {"kv_held", reads.held_bytes},
          {"read_fraction", reads.byte_fraction()}};
}

Json recall_config(const std::string& model) { return {{"model", model}, {"max_new_tokens", kRecallNewTokens}}; }

}  // namespace

Json recall_json(const EvalVariant& variant, const Tally& tally, const std::string& model) {
  Json by_task = Json::object(), by_length = Json::object(), cells = Json::object(), config = recall_config(model);
  for (const auto& [task, score] : tally.by_task) by_task[task] = score.share();
  for (const auto& [length, score] : tally.by_length) by_length[std::to_string(length)] = score.share();
  for (const auto& [cell, score] : tally.cells)
    cells[fmt::format("{}/{}", cell.first, cell.second)] = {score.right, score.asked};
  config["vortex"] = config_json(variant);
  return {{"accuracy", tally.all.share()},
          {"count", tally.all.asked},
          {"by_task", by_task},
          {"by_length", by_length},
          {"cells", cells},
          {"sparsity", sparsity_json(tally.reads.sparsity)},
          {"config", config}};
}

Json recall_json(const FlowLab& lab, std::span<const EvalVariant> variants, const std::vector<Tally>& tallies,
                 const std::string& model) {
  Json entries = Json::array();
  for (size_t i = 0; i < tallies.size(); ++i) {
    Json entry = {{"name", variants[i].lab.name}};
    entry.update(recall_json(variants[i], tallies[i], model));
    entry["bytes"] = bytes_json(lab, i, tallies[i].reads);
    entries.push_back(std::move(entry));
  }
  return {{"variants", entries}, {"config", recall_config(model)}};
}

Json fidelity_json(const FlowLab& lab, std::span<const EvalVariant> variants, const std::vector<Fidelity>& results,
                   const FidelityInput& input) {
  Json entries = Json::array();
  for (size_t i = 0; i < results.size(); ++i) {
    const Fidelity& f = results[i];
    entries.push_back({{"name", variants[i].lab.name},
                       {"kl", f.kl},
                       {"perplexity", f.perplexity},
                       {"top_token_agreement", f.top_agreement},
                       {"attention_mass", {{"mean", f.mean_mass()}, {"by_layer", f.mass}}},
                       {"sparsity", sparsity_json(f.reads.sparsity)},
                       {"bytes", bytes_json(lab, i, f.reads)},
                       {"vortex", config_json(variants[i])}});
  }
  return {{"variants", entries},
          {"config", {{"model", input.model}, {"text", input.text}, {"tokens", input.tokens}, {"tail", input.tail}}}};
}

Json machine_json(int threads) {
  return {{"cpu", cpu_features().brand}, {"threads", threads}, {"memory_bytes", memory_limit_bytes()}};
}

}  // namespace vortex::eval

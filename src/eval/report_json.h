// Reports as JSON: the objects of docs/json.md, for commands and for Python.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "engine/fidelity.h"
#include "engine/sparsity_json.h"
#include "eval/recall.h"
#include "eval/variants.h"

namespace vortex::eval {

using Json = nlohmann::ordered_json;

/// `vortex eval recall --json` with several variants. `model` as the user named it.
Json recall_json(const FlowLab& lab, std::span<const EvalVariant> variants, const std::vector<Tally>& tallies,
                 const std::string& model);
/// The same of a single variant, which has no name of its own.
Json recall_json(const EvalVariant& variant, const Tally& tally, const std::string& model);

struct FidelityInput {
  std::string model, text;  // as the user named them
  int64_t tokens = 4096, tail = 128;
};

/// `vortex eval fidelity --json`.
Json fidelity_json(const FlowLab& lab, std::span<const EvalVariant> variants, const std::vector<Fidelity>& results,
                   const FidelityInput& input);

/// CPU, threads, memory: where a figure was measured.
Json machine_json(int threads);

}  // namespace vortex::eval

// EvalVariants: the ways to decode that one evaluation compares, from lists of what they may differ in.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/flow_lab.h"

namespace vortex::eval {

/// A variant with a short name: its flow, and those settings that differ among the variants.
struct EvalVariant {
  LabVariant lab;
  std::string series;  // the name without the budget: points of one line in a plot
};

/// What is compared: every combination, each once. A list that is empty takes no part.
struct VariantLists {
  std::vector<std::string> flows;     // by name or file; also "dense" and the controls (selection_controls.h)
  std::vector<VortexConfig> configs;  // the settings below the others
  std::vector<int64_t> topk;
  std::vector<double> ratios;        // topk_ratio
  std::vector<int64_t> block_sizes;  // counts of pages are meant for the first, and scaled to the same tokens
  std::vector<int64_t> layers_skip;  // layers that stay dense, in all of them
};

/// Without any list: dense. kConfiguration naming the key.
Result<std::vector<EvalVariant>> make_variants(const VariantLists& lists);

EvalVariant dense_variant();
std::vector<LabVariant> lab_variants(std::span<const EvalVariant> variants);

}  // namespace vortex::eval

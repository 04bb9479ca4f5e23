// EvalVariants: the ways to decode that one evaluation compares, from lists on the command line.
#pragma once

#include <CLI/App.hpp>
#include <span>
#include <string>
#include <vector>

#include "cli/report.h"
#include "engine/flow_lab.h"

namespace vortex::cli {

/// A variant with a short name: its flow, and those settings that differ among the variants.
struct EvalVariant {
  LabVariant lab;
  std::string series;  // the name without the budget: points of one line in a plot
};

class VariantOptions {
 public:
  void add_to(CLI::App& app);

  /// Every combination of --vortex-config, --flows, --block-size, --topk and --ratio, each once; "dense" among the
  /// flows is dense attention. Without any of them: dense. kConfiguration naming the key.
  Result<std::vector<EvalVariant>> variants() const;

 private:
  Result<std::vector<VortexConfig>> bases() const;
  /// Each base under each flow that is not dense; as they are without --flows.
  std::vector<VortexConfig> under_flows(const std::vector<VortexConfig>& bases) const;
  /// The base under every budget and block size.
  std::vector<VortexConfig> spread(const VortexConfig& base) const;

  std::vector<std::string> flows_, configs_;
  std::vector<int64_t> topk_, block_sizes_, layers_skip_;
  std::vector<double> ratios_;
};

std::vector<LabVariant> lab_variants(std::span<const EvalVariant> variants);

/// The config as an object, or null when dense.
Json config_json(const LabVariant& variant);
/// What decode read in bytes, and what one page takes.
Json bytes_json(const FlowLab& lab, size_t variant, const LabReads& reads);
/// Columns that a table of these variants' names takes.
int name_width(std::span<const EvalVariant> variants);

}  // namespace vortex::cli

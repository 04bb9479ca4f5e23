// VariantOptions: lists on the command line of an evaluation, and names of what they give.
#pragma once

#include <CLI/App.hpp>
#include <span>
#include <string>
#include <vector>

#include "eval/variants.h"

namespace vortex::cli {

using eval::EvalVariant;

class VariantOptions {
 public:
  void add_to(CLI::App& app);

  /// Every combination of --vortex-config, --flows, --block-size, --topk and --ratio. kConfiguration naming the key.
  Result<std::vector<EvalVariant>> variants() const;

 private:
  std::vector<std::string> configs_;
  eval::VariantLists lists_;  // but for the configs
};

/// Columns that a table of these variants' names takes.
int name_width(std::span<const EvalVariant> variants);

}  // namespace vortex::cli

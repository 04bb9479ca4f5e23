// VortexConfig: the sparse-attention settings of an engine, with the original system's names and defaults
// (spec/config.md 1). Present: sparse attention is on. Absent: dense.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"

namespace vortex {

struct VortexConfig {
  int64_t topk_val = 30;                            // pages selected per row, beside the reserved ones
  std::optional<int64_t> max_topk_val;              // upper bound of the pages selected by score
  std::optional<std::vector<int64_t>> layers_skip;  // layers that stay dense
  int64_t block_reserved_bos = 1;                   // first pages, always read
  int64_t block_reserved_eos = 1;                   // last pages, always read
  int64_t max_seq_lens = -1;                        // longest sequence; < 0: the context length
  int64_t workload_chunk_size = 32;                 // pages a work item of the indexer takes: a hint here
  std::string dtype = "bfloat16";                   // of fields and intermediates
  std::optional<std::string> module_path;           // file with the flow; absent: built-in
  std::optional<std::string> module_name;           // registered flow
  int64_t block_size = 16;                          // tokens of a page
  double topk_ratio = 0.0;                          // budget as a share of the pages
  std::optional<std::string> compilation_cache_dir;
  std::optional<std::string> schedule_policy;    // body of a function that returns the budget
  std::string attention_backend = "flashinfer";  // a hint here: page lists serve both layouts
  std::string impl_backend = "triton";           // a hint here
  bool use_tensor_core = false;                  // a hint here

  DType field_dtype() const { return *parse_dtype(dtype); }
};

/// From JSON: an object with the fields above, with or without the prefix `vortex_`. Null when the original's
/// `enable_vortex_sparsity` is there and false.
/// `where` names the text in errors. kConfiguration: unknown keys (with the nearest), wrong types, impossible values.
Result<std::optional<VortexConfig>> parse_vortex_config(std::string_view json, const std::string& where);

/// kConfiguration naming key, value and range. Layer numbers are checked against `layers` when it is positive.
Status validate(const VortexConfig& config, int layers);

/// Fields that differ from their defaults and change nothing on the CPU, for a warning: "workload_chunk_size,
/// impl_backend".
std::string fields_without_effect(const VortexConfig& config);

/// As JSON on one line, for reports.
std::string to_json(const VortexConfig& config);

}  // namespace vortex

// EngineOptions: everything an engine is made from. Flags, environment and config files resolve to this.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/settings.h"
#include "engine/vortex_config.h"

namespace vortex {

struct EngineOptions {
  std::string model;                       // a local folder or .gguf (loader/hub resolves names to these)
  std::string device = "auto";             // cpu, cuda, auto
  std::string dtype = "auto";              // auto: as stored; float32 keeps K and V in float32
  std::string kv_cache_dtype = "auto";     // auto: float32 where dtype is float32, else bfloat16; int8
  std::string quantize = "none";           // q8_0, q4_0: float weights become blocks of this type at load
  std::string load_format = "auto";        // dummy: random weights for a config
  std::string generation_config = "auto";  // none: ignore the model's sampling suggestions
  int threads = 0;                         // of a rank; 0: its share of the cores this process may use
  int tensor_parallel_size = 0;            // ranks that share each layer; 0: as many as mpirun started, else 1
  // How the other ranks start: this program once more, with these arguments. It must call run_rank() first.
  std::vector<std::string> rank_command = {"vortex", "rank"};
  int64_t max_model_len = 0;                    // 0: what the model was trained for
  int64_t max_num_seqs = 8;                     // sequences in one step
  int64_t max_num_batched_tokens = 512;         // tokens in one step
  int64_t kv_cache_memory_bytes = 0;            // 0: room for max_num_seqs full contexts within the memory there is
  double gpu_memory_utilization = 0.9;          // share of a GPU's memory for weights, scratch and pages
  int64_t page_size = 0;                        // tokens of a slab; 0: the block size
  bool enable_prefix_caching = true;            // keep the pages of finished requests for prompts that start alike
  int64_t long_prefill_token_threshold = 2048;  // longer prompts are paced while others decode; 0: never
  double long_prefill_slowdown = 0.2;           // how much longer a step may take for them
  uint64_t seed = 0;
  std::string compressor_ckpt;         // weights of flows that learn; empty: none
  std::optional<VortexConfig> vortex;  // absent: dense
};

/// The options that the settings table holds; model and vortex are left for the caller.
/// kUnsupported for a setting that was given and that this build cannot honour.
Result<EngineOptions> engine_options(const Settings& settings);

/// kConfiguration naming the option, its value and what the settings table allows.
Status validate(const EngineOptions& options);

}  // namespace vortex

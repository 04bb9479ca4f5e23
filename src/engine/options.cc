#include "engine/options.h"

namespace vortex {

EngineOptions engine_options(const Settings& settings) {
  EngineOptions o;
  o.device = settings.get_string("device");
  o.dtype = settings.get_string("dtype");
  o.kv_cache_dtype = settings.get_string("kv-cache-dtype");
  o.load_format = settings.get_string("load-format");
  o.generation_config = settings.get_string("generation-config");
  o.threads = static_cast<int>(settings.get_optional_int("threads").value_or(0));
  o.max_model_len = settings.get_optional_int("max-model-len").value_or(0);
  o.max_num_seqs = settings.get_int("max-num-seqs");
  o.max_num_batched_tokens = settings.get_int("max-num-batched-tokens");
  o.kv_cache_memory_bytes = settings.get_optional_int("kv-cache-memory-bytes").value_or(0);
  o.page_size = settings.get_optional_int("page-size").value_or(0);
  o.seed = static_cast<uint64_t>(settings.get_int("seed"));
  return o;
}

}  // namespace vortex

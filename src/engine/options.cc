#include "engine/options.h"

#include <algorithm>

namespace vortex {
namespace {

std::string number_or_auto(int64_t value) { return value == 0 ? "auto" : std::to_string(value); }

Status refuse_unbuilt(const Settings& settings) {
  if (settings.source("gpu-memory-utilization") != SettingSource::kDefault && settings.get_string("device") == "cpu")
    return Error{ErrorCode::kUnsupported, "--gpu-memory-utilization", "the CPU has no memory of a GPU",
                 "use --kv-cache-memory-bytes"};
  return {};
}

}  // namespace

Result<EngineOptions> engine_options(const Settings& settings) {
  VORTEX_RETURN_IF_ERROR(refuse_unbuilt(settings));
  EngineOptions o;
  o.device = settings.get_string("device");
  o.dtype = settings.get_string("dtype");
  o.kv_cache_dtype = settings.get_string("kv-cache-dtype");
  o.quantize = settings.get_string("quantize");
  o.load_format = settings.get_string("load-format");
  o.generation_config = settings.get_string("generation-config");
  o.threads = static_cast<int>(settings.get_optional_int("threads").value_or(0));
  if (settings.source("tensor-parallel-size") != SettingSource::kDefault)
    o.tensor_parallel_size = static_cast<int>(settings.get_int("tensor-parallel-size"));
  o.max_model_len = settings.get_optional_int("max-model-len").value_or(0);
  o.max_num_seqs = settings.get_int("max-num-seqs");
  o.max_num_batched_tokens = settings.get_int("max-num-batched-tokens");
  o.kv_cache_memory_bytes = settings.get_optional_int("kv-cache-memory-bytes").value_or(0);
  o.gpu_memory_utilization = settings.get_float("gpu-memory-utilization");
  o.page_size = settings.get_optional_int("page-size").value_or(0);
  o.enable_prefix_caching = settings.get_bool("enable-prefix-caching");
  o.long_prefill_token_threshold = settings.get_int("long-prefill-token-threshold");
  o.long_prefill_slowdown = settings.get_float("long-prefill-slowdown");
  o.seed = static_cast<uint64_t>(settings.get_int("seed"));
  o.compressor_ckpt = settings.get_string("compressor-ckpt");
  return o;
}

Status validate(const EngineOptions& o) {
  Settings allowed;
  const std::pair<const char*, std::string> texts[] = {
      {"device", o.device},
      {"dtype", o.dtype},
      {"kv-cache-dtype", o.kv_cache_dtype},
      {"quantize", o.quantize},
      {"load-format", o.load_format},
      {"generation-config", o.generation_config},
      {"threads", number_or_auto(o.threads)},
      {"tensor-parallel-size", std::to_string(std::max(o.tensor_parallel_size, 1))},
      {"max-model-len", number_or_auto(o.max_model_len)},
      {"max-num-seqs", std::to_string(o.max_num_seqs)},
      {"max-num-batched-tokens", std::to_string(o.max_num_batched_tokens)},
      {"kv-cache-memory-bytes", number_or_auto(o.kv_cache_memory_bytes)},
      {"gpu-memory-utilization", fmt::format("{}", o.gpu_memory_utilization)},
      {"page-size", number_or_auto(o.page_size)},
      {"long-prefill-token-threshold", std::to_string(o.long_prefill_token_threshold)},
      {"long-prefill-slowdown", std::to_string(o.long_prefill_slowdown)},
  };
  for (const auto& [name, text] : texts)
    VORTEX_RETURN_IF_ERROR(allowed.set(name, text, SettingSource::kFile, "engine options"));
  return {};
}

}  // namespace vortex

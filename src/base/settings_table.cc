// The table itself: the place where a setting is added, but for those of the server (settings_table_server.cc).
#include "base/settings_table.h"

#include <algorithm>

#include "base/settings.h"

namespace vortex {
namespace {

constexpr double kMostTokens = 16'777'216;
constexpr double kMostBytes = 1'125'899'906'842'624;  // 1 PiB, exact in a double
constexpr double kMostSeed = 9'007'199'254'740'992;   // 2^53: exact in JSON too

std::vector<SettingSpec> make_table() {
  using enum SettingType;
  return {
      {.name = "device",
       .type = kChoice,
       .default_text = "auto",
       .help = "Where the model runs; auto takes a GPU that works, else the CPU.",
       .group = "Machine",
       .choices = {"cpu", "cuda", "auto"}},
      {.name = "threads",
       .type = kInt,
       .default_text = "auto",
       .help = "CPU threads of the kernels; auto is the number of usable cores.",
       .group = "Machine",
       .min = 1,
       .max = 1024,
       .automatic = "auto"},
      {.name = "tensor-parallel-size",
       .type = kInt,
       .default_text = "1",
       .help = "GPUs that share each layer.",
       .group = "Machine",
       .aliases = {{"tp"}, {"tp-size"}},
       .min = 1,
       .max = 64},
      {.name = "dtype",
       .type = kChoice,
       .default_text = "auto",
       .help = "Arithmetic type of the model; auto is the type of the weights.",
       .group = "Model",
       .choices = {"auto", "bfloat16", "float32"}},
      {.name = "load-format",
       .type = kChoice,
       .default_text = "auto",
       .help = "Where weights come from; dummy makes random ones for a config.json, to measure shapes.",
       .group = "Model",
       .choices = {"auto", "dummy"}},
      {.name = "generation-config",
       .type = kChoice,
       .default_text = "auto",
       .help = "Sampling defaults: auto takes the model's generation_config.json, none the engine's own.",
       .group = "Model",
       .choices = {"auto", "none"}},
      {.name = "max-model-len",
       .type = kInt,
       .default_text = "auto",
       .help = "Most tokens of one sequence, prompt and answer; auto is what the model was made for.",
       .group = "Model",
       .aliases = {{"context-length"}},
       .min = 1,
       .max = kMostTokens,
       .automatic = "auto",
       .is_size = true},
      {.name = "compressor-ckpt",
       .type = kString,
       .help = "Weights of flows that learn, such as learned_block_sparse_mla: a safetensors file.",
       .group = "Model"},
      {.name = "seed",
       .type = kInt,
       .default_text = "0",
       .help = "Seed of the sampler where a request brings none.",
       .group = "Model",
       .min = 0,
       .max = kMostSeed},
      {.name = "kv-cache-dtype",
       .type = kChoice,
       .default_text = "auto",
       .help = "Type of the stored keys and values; auto is float32 where --dtype is, else bfloat16.",
       .group = "KV cache",
       .choices = {"auto", "bfloat16", "float32"}},
      {.name = "kv-cache-memory-bytes",
       .type = kInt,
       .default_text = "auto",
       .help = "Memory for keys, values and page summaries; auto is what the other limits need.",
       .group = "KV cache",
       .min = 65'536,
       .max = kMostBytes,
       .automatic = "auto",
       .is_size = true},
      {.name = "gpu-memory-utilization",
       .type = kFloat,
       .default_text = "0.9",
       .help = "Share of the GPU's memory that weights and KV cache may fill.",
       .group = "KV cache",
       .aliases = {{"mem-fraction-static"}},
       .min = 0.05,
       .max = 1},
      {.name = "page-size",
       .type = kInt,
       .default_text = "auto",
       .help = "Tokens of one slab of the KV pool, a multiple of the flow's block size; auto is that size.",
       .group = "KV cache",
       .min = 1,
       .max = 4096,
       .automatic = "auto"},
      {.name = "enable-prefix-caching",
       .type = kBool,
       .default_text = "true",
       .help = "Keep the pages of finished requests for prompts that start alike.",
       .group = "KV cache",
       .aliases = {{"disable-radix-cache", true}}},
      {.name = "max-num-seqs",
       .type = kInt,
       .default_text = "64",
       .help = "Most sequences in one step.",
       .group = "Scheduler",
       .min = 1,
       .max = 4096},
      {.name = "max-num-batched-tokens",
       .type = kInt,
       .default_text = "512",
       .help = "Most tokens of one step; longer prompts are prefilled in chunks of this size.",
       .group = "Scheduler",
       .min = 1,
       .max = 1'048'576,
       .is_size = true},
      {.name = "long-prefill-token-threshold",
       .type = kInt,
       .default_text = "2048",
       .help = "Prompts with more tokens to compute are read in small pieces while others decode; 0: never.",
       .group = "Scheduler",
       .min = 0,
       .max = kMostTokens,
       .is_size = true},
      {.name = "long-prefill-slowdown",
       .type = kFloat,
       .default_text = "0.2",
       .help = "How much longer a step of decodes may take for such a prompt; 0.2 is a fifth.",
       .group = "Scheduler",
       .min = 0.01,
       .max = 1'000},
      {.name = "log-level",
       .type = kChoice,
       .default_text = "info",
       .help = "The least important events that are logged.",
       .group = "Log",
       .choices = {"error", "warn", "info", "debug"}},
      {.name = "log-format",
       .type = kChoice,
       .default_text = "text",
       .help = "Lines for people, or one JSON object a line.",
       .group = "Log",
       .choices = {"text", "json"}},
  };
}

}  // namespace

std::span<const SettingSpec> settings_table() {
  static const std::vector<SettingSpec> table = [] {
    std::vector<SettingSpec> all = make_table();
    const std::vector<SettingSpec> server = server_settings();
    const auto log = std::find_if(all.begin(), all.end(), [](const SettingSpec& spec) { return spec.group == "Log"; });
    all.insert(log, server.begin(), server.end());
    return all;
  }();
  return table;
}

}  // namespace vortex

// ModelConfig: what a model is, whichever file told us (config.json old or new form, GGUF metadata).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"

namespace vortex {

class GgufFile;

/// A family is one layer function; several architectures of the same maths may share it.
enum class Family : uint8_t { kLlama, kMistral, kQwen2, kQwen3 };

std::string_view family_name(Family family);
/// The architectures this build knows, for error messages and `vortex doctor`: "LlamaForCausalLM, ...".
std::string supported_architectures();

/// Rotary embedding of one model. See rope.h for what the numbers do.
struct RopeConfig {
  enum class Variant : uint8_t { kDefault, kLinear, kLlama3, kYarn };

  Variant variant = Variant::kDefault;
  double theta = 10000.0;
  double factor = 1.0;                     // linear, llama3, yarn
  int original_max_position = 0;           // llama3, yarn
  double low_freq_factor = 1.0;            // llama3
  double high_freq_factor = 4.0;           // llama3
  double beta_fast = 32.0;                 // yarn
  double beta_slow = 1.0;                  // yarn
  std::optional<double> attention_factor;  // yarn; overrides the two below
  std::optional<double> mscale;
  std::optional<double> mscale_all_dim;
  bool truncate = true;                   // yarn: correction range rounded to whole dimensions
  int rotary_dim = 0;                     // leading dimensions of a head that are rotated; even, at most head_dim
  bool interleaved = false;               // pairs are (2i, 2i+1), as GGUF stores llama; otherwise (i, i + rotary_dim/2)
  std::vector<float> frequency_divisors;  // GGUF's rope_freqs.weight [rotary_dim/2]; empty: none
};

enum class LayerType : uint8_t { kFullAttention, kSlidingAttention };

struct ModelConfig {
  Family family = Family::kLlama;
  std::string architecture;  // as the file names it: "LlamaForCausalLM", or "llama" in GGUF
  int vocab_size = 0;
  int hidden_size = 0;
  int intermediate_size = 0;
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;  // divides heads
  int head_dim = 0;
  float rms_norm_eps = 1e-6f;
  int max_position_embeddings = 0;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;                // RMS norm over each head of q and k, before rope
  int sliding_window = 0;              // 0: none. The families of today refuse a window that would take effect
  std::vector<LayerType> layer_types;  // one a layer
  RopeConfig rope;
  std::vector<int> bos_ids;
  std::vector<int> eos_ids;          // any of them ends a turn; config.json's and generation_config.json's together
  DType stored_dtype = DType::kF32;  // of the large matrices; GGUF files may mix types
};

/// What the model's authors suggest for sampling; absent when they say nothing.
struct GenerationDefaults {
  std::optional<bool> do_sample;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<int> top_k;
  std::vector<int> bos_ids;
  std::vector<int> eos_ids;
};

/// From the text of config.json. `where` names the file in errors. Refused by name (kUnsupported): unknown
/// architectures, rope types and activations, and any field that would change the maths and that no layer honours.
/// Numbers out of bounds: kDataLoss.
Result<ModelConfig> parse_hf_config(std::string_view json, const std::string& where);

/// From the text of generation_config.json.
Result<GenerationDefaults> parse_generation_config(std::string_view json, const std::string& where);

/// From GGUF metadata and tensors (biases, norms, tied output and rope_freqs.weight show as tensors only).
Result<ModelConfig> read_gguf_config(const GgufFile& file);

/// Adds the ids of generation_config.json to those of the config, each once.
void merge_token_ids(const GenerationDefaults& generation, ModelConfig* config);

/// The bounds every reader checks its result against (positive sizes, heads a multiple of kv_heads ...).
Status validate_config(const ModelConfig& config, const std::string& where);

}  // namespace vortex

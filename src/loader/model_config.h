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

/// What RMS norm q and k get before rope.
enum class QkNorm : uint8_t {
  kNone,
  kHead,  // each head by itself, weight [head_dim] (Qwen3)
  kAll,   // all heads together, weight [heads * head_dim] (MiniMax-M2)
};

/// f in down(f(gate, up)): kernels/dense_ops.h, Gating.
enum class Activation : uint8_t { kSilu, kGeluTanh, kClampedSwiglu };

/// Latent attention (DeepSeek-V2, arXiv:2405.04434). The cache holds one row a token, [kv_c | k_pe], for all heads, so
/// for cache, planner and flows the model has one kv head of width kv_lora_rank + qk_rope_head_dim: ModelConfig's
/// kv_heads and head_dim say so.
struct MlaConfig {
  int kv_lora_rank = 0;  // 0: no latent attention
  int q_lora_rank = 0;   // 0: q is projected in one step
  int qk_nope_head_dim = 0;
  int qk_rope_head_dim = 0;
  int v_head_dim = 0;
};

/// Mixture of experts. A token goes to experts_per_token of `experts`; shared experts see all tokens.
struct MoeConfig {
  enum class Scoring : uint8_t {
    kSoftmax,      // softmax over all experts, then the best
    kSigmoid,      // sigmoid of each
    kTopKSoftmax,  // the best logits, then softmax over those (gpt-oss)
  };
  /// With groups > 1 only experts of the best top_groups groups are candidates; a group's score is
  enum class GroupScore : uint8_t {
    kMax,      // that of its best expert (DeepSeek-V2)
    kTop2Sum,  // the sum of its two best (DeepSeek-V3)
  };

  int experts = 0;  // 0: no mixture
  int experts_per_token = 0;
  int intermediate_size = 0;  // of one expert
  int shared_experts = 0;     // run as one network of shared_experts * intermediate_size; 0: none
  Scoring scoring = Scoring::kSoftmax;
  bool selection_bias = false;     // "mlp.gate.e_score_correction_bias" is added for the choice, not to the weight
  bool router_bias = false;        // "mlp.gate.bias" is added to the logits
  bool expert_bias = false;        // gate, up and down of experts have biases
  bool normalize = false;          // the chosen weights are divided by their sum
  float normalize_epsilon = 0.0f;  // added to that sum
  float routed_scale = 1.0f;       // and multiplied by this
  int groups = 1;
  int top_groups = 1;
  GroupScore group_score = GroupScore::kTop2Sum;
};

/// A model by what it computes, whatever its family is called: the layers are built from this alone.
struct ModelConfig {
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
  QkNorm qk_norm = QkNorm::kNone;
  bool attention_sinks = false;  // "self_attn.sinks" [heads]: a logit each that takes weight and has no value (gpt-oss)
  float attention_scale = 0;     // logits are attention_scale * q . k; 0: 1 / sqrt(head_dim)
  float embedding_scale = 1.0f;  // of the embedded tokens
  Activation activation = Activation::kSilu;
  bool norm_plus_one = false;   // stored norm weights are w in (1 + w) (Gemma from Hugging Face; GGUF stores 1 + w)
  bool sandwich_norms = false;  // attention and feed-forward are normed after as well as before (Gemma): Gemma's names
  int sliding_window = 0;       // tokens a query of a sliding layer sees, itself included; 0: all
  std::vector<LayerType> layer_types;  // one a layer; flows select in full layers only
  MlaConfig mla;
  MoeConfig moe;
  std::vector<bool> moe_layers;  // one a layer, or empty: none
  RopeConfig rope;
  std::optional<RopeConfig> sliding_rope;  // of sliding layers, where it differs
  std::vector<int> bos_ids;
  std::vector<int> eos_ids;          // any of them ends a turn; config.json's and generation_config.json's together
  DType stored_dtype = DType::kF32;  // of the large matrices; GGUF files may mix types

  bool latent() const { return mla.kv_lora_rank > 0; }
  /// Whether queries of this layer see a window only.
  bool slides(int layer) const {
    return sliding_window > 0 && layer_types[static_cast<size_t>(layer)] == LayerType::kSlidingAttention;
  }
  bool is_moe(int layer) const { return !moe_layers.empty() && moe_layers[static_cast<size_t>(layer)]; }
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

/// What every reader does last: layers that a window never reaches past become full ones, the scale of latent
/// attention follows from its rope, and all numbers are checked against each other (heads a multiple of kv_heads,
/// groups that divide the experts ...). kDataLoss.
Status finish_config(ModelConfig* config, const std::string& where);

}  // namespace vortex

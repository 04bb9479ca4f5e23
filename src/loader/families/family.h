// A family: what sets the models of one architecture apart. The readers of config.json and of GGUF metadata read what
// all models share and leave the rest to the family. docs/adding-a-model.md says how to add one.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "loader/config_fields.h"
#include "loader/gguf.h"
#include "loader/model_config.h"
#include "loader/weight_names.h"

namespace vortex {

/// How config.json names models of the family.
struct HfName {
  std::string_view architecture;
  std::string_view model_type;
};

/// What transformers assumes where config.json says nothing.
struct HfDefaults {
  int head_dim = 0;  // 0: hidden_size / num_attention_heads
  int max_positions = 32768;
  double rope_theta = 10000.0;
  double sliding_rope_theta = 0;  // not 0: sliding layers have a rope of their own
  double partial_rotary = 1.0;
  Activation activation = Activation::kSilu;
  bool tied_head = false;
};

struct HfForm {
  std::span<const HfName> names;
  HfDefaults defaults;
  /// Fields that are refused of other models (hf_config.cc lists them) and that `read` honours.
  std::span<const std::string_view> honours;
  /// Reads what the family alone has. The sizes are known already; rope comes after.
  void (*read)(ConfigFields& fields, ModelConfig* out) = nullptr;
  /// Layer weights whose names differ from ours.
  std::span<const WeightAlias> weights;
};

struct GgufForm {
  std::string_view name;  // "general.architecture"; empty: none
  bool interleaved_rope = false;
  std::span<const std::string_view> honours;  // as above, of gguf_config.cc
  void (*read)(const GgufFile& file, ConfigFields& fields, ModelConfig* out) = nullptr;
  /// Come before the names that all families share.
  std::span<const WeightAlias> weights;
};

struct Family {
  HfForm hf;
  GgufForm gguf;
  /// Checkpoints may hold layers past the last that predict further tokens; they are left out.
  bool has_prediction_layers = false;
};

/// By architecture or model_type; null when unknown.
const Family* find_hf_family(std::string_view name);
const Family* find_gguf_family(std::string_view name);

}  // namespace vortex

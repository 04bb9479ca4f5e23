// GGUF bytes: parse, read the config, touch all a caller would touch.
#include "fuzz/fuzz_target.h"
#include "loader/families/family.h"
#include "loader/gguf.h"
#include "loader/model_config.h"
#include "loader/rope.h"
#include "loader/testing/model_images.h"
#include "loader/weight_names.h"

namespace vortex::fuzz {

std::string run_target(std::span<const std::byte> input) {
  const auto file = GgufFile::parse(input, "x.gguf");
  if (!file.ok()) return file.error().message;
  for (const NamedTensor& tensor : (*file)->tensors()) {
    touch({tensor.view.data, static_cast<size_t>(tensor.view.bytes())});
  }
  if (const auto* tokens = (*file)->strings("tokenizer.ggml.tokens")) {
    for (std::string_view token : *tokens) touch(std::as_bytes(std::span(token)));
  }
  const auto config = read_gguf_config(**file);
  if (!config.ok()) return config.error().message;
  rope_inverse_frequencies(config->rope, config->head_dim);
  WeightMap weights;
  const auto added = add_gguf_weights((*file)->tensors(), *find_gguf_family(config->architecture), *config, &weights);
  return added.ok() ? "parsed" : added.error().message;
}

namespace {

/// A latent model with a mixture, whose experts are stacked.
testing::GgufImage small_deepseek() {
  testing::GgufImage image = testing::small_llama();
  for (auto& [name, field] : image.metadata) {
    if (name.starts_with("llama.")) name.replace(0, 5, "deepseek2");
    if (name == "general.architecture") field = testing::gguf_string("deepseek2");
  }
  const std::pair<const char*, uint32_t> numbers[] = {{"attention.kv_lora_rank", 8},
                                                      {"rope.dimension_count", 4},
                                                      {"attention.key_length", 12},
                                                      {"attention.key_length_mla", 12},
                                                      {"expert_count", 2},
                                                      {"expert_used_count", 1},
                                                      {"attention.value_length_mla", 8},
                                                      {"expert_group_count", 1},
                                                      {"expert_feed_forward_length", 4},
                                                      {"expert_gating_func", 2},
                                                      {"leading_dense_block_count", 0}};
  for (const auto& [name, number] : numbers) {
    image.metadata.push_back({std::string("deepseek2.") + name, testing::gguf_u32(number)});
  }
  image.tensors.push_back({"blk.0.ffn_gate_exps.weight", {4, 2, 2}, 0, testing::zeros(16)});
  image.tensors.push_back({"blk.0.attn_k_b.weight", {8, 8, 2}, 0, testing::zeros(128)});
  image.tensors.push_back({"blk.1.exp_probs_b.bias", {2}, 0, testing::zeros(2)});
  return image;
}

/// Sliding layers by pattern.
testing::GgufImage small_gemma() {
  testing::GgufImage image = testing::small_llama();
  for (auto& [name, field] : image.metadata) {
    if (name.starts_with("llama.")) name.replace(0, 5, "gemma3");
    if (name == "general.architecture") field = testing::gguf_string("gemma3");
  }
  image.metadata.push_back({"gemma3.attention.sliding_window", testing::gguf_u32(16)});
  image.metadata.push_back({"gemma3.attention.sliding_window_pattern", testing::gguf_array(7, 1, "\1")});
  return image;
}

}  // namespace

std::vector<std::string> seeds() {
  testing::GgufImage rich = testing::small_llama();
  rich.metadata.push_back({"nested", testing::gguf_array(9, 1, testing::gguf_array(4, 1, "\1\1\1\1").payload)});
  rich.metadata.push_back({"wide", testing::gguf_u64(7)});
  rich.metadata.push_back({"flag", testing::gguf_bool(1)});
  rich.metadata.push_back({"general.alignment", testing::gguf_u32(32)});
  rich.metadata.push_back({"llama.rope.scaling.type", testing::gguf_string("yarn")});
  rich.metadata.push_back({"llama.rope.scaling.factor", testing::gguf_f32(4.0f)});
  testing::GgufImage old = rich;
  old.version = 2;
  old.tensors.resize(3);
  testing::GgufImage bare;
  bare.tensors = {{"t", {8}, 0, testing::zeros(8)}};
  return {rich.build(),         old.build(), bare.build(), testing::GgufImage().build(), small_deepseek().build(),
          small_gemma().build()};
}

}  // namespace vortex::fuzz

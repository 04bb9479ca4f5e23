// config.json text: parse and compute its rotary frequencies.
#include "fuzz/fuzz_target.h"
#include "loader/model_config.h"
#include "loader/rope.h"

namespace vortex::fuzz {

std::string run_target(std::span<const std::byte> input) {
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  (void)parse_generation_config(text, "g.json");
  const auto config = parse_hf_config(text, "c.json");
  if (!config.ok()) return config.error().message;
  rope_inverse_frequencies(config->rope, config->head_dim);
  rope_attention_scale(config->rope);
  if (config->sliding_rope) rope_inverse_frequencies(*config->sliding_rope, config->head_dim);
  return "parsed";
}

std::vector<std::string> seeds() {
  const std::string sizes = R"("vocab_size":64,"hidden_size":32,"intermediate_size":64,"num_hidden_layers":2,)"
                            R"("num_attention_heads":4,"head_dim":8,"max_position_embeddings":4096,)";
  return {R"({"architectures":["LlamaForCausalLM"],)" + sizes +
              R"("rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,)"
              R"("original_max_position_embeddings":256},"eos_token_id":[1,2],"dtype":"bfloat16"})",
          R"({"model_type":"qwen3",)" + sizes +
              R"("rope_parameters":{"rope_type":"yarn","factor":4.0,"beta_fast":32,"mscale":1.0,"mscale_all_dim":1.0},)"
              R"("layer_types":["full_attention","sliding_attention"],"use_sliding_window":true,"sliding_window":64})",
          R"({"temperature":0.7,"top_k":20,"eos_token_id":null})"};
}

}  // namespace vortex::fuzz

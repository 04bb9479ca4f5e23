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

namespace {

/// One of each shape that families have of their own.
std::vector<std::string> family_seeds(const std::string& sizes) {
  const std::string latent =
      R"("kv_lora_rank":16,"q_lora_rank":8,"qk_nope_head_dim":8,"qk_rope_head_dim":4,"v_head_dim":8,)";
  const std::string experts = R"("num_experts_per_tok":2,"moe_intermediate_size":16,"norm_topk_prob":true,)";
  return {
      R"({"model_type":"deepseek_v3",)" + sizes + latent + experts +
          R"("n_routed_experts":8,"n_shared_experts":1,"n_group":4,"topk_group":2,"routed_scaling_factor":1.5,)"
          R"("scoring_func":"sigmoid","topk_method":"noaux_tc","first_k_dense_replace":1,"moe_layer_freq":1,)"
          R"("rope_interleave":false,"rope_scaling":{"type":"yarn","factor":40,"mscale":1.0,"mscale_all_dim":1.0}})",
      R"({"model_type":"deepseek_v2",)" + sizes + latent + R"("num_experts_per_tok":2,"moe_intermediate_size":16,)" +
          R"("n_routed_experts":8,"topk_method":"group_limited_greedy","n_group":2,"topk_group":1})",
      R"({"model_type":"glm4_moe_lite",)" + sizes + latent + experts +
          R"("n_routed_experts":4,"mlp_layer_types":["dense","sparse"]})",
      R"({"model_type":"qwen3_moe",)" + sizes + experts +
          R"("num_experts":4,"decoder_sparse_step":2,"mlp_only_layers":[0],"use_sliding_window":true})",
      R"({"model_type":"minimax_m2",)" + sizes +
          R"("num_experts_per_tok":2,"num_local_experts":4,"rotary_dim":4,"attn_type_list":[1,1],"use_qk_norm":true})",
      R"({"model_type":"gemma3_text",)" + sizes +
          R"("query_pre_attn_scalar":256,"sliding_window":64,"_sliding_window_pattern":2,)"
          R"("rope_parameters":{"full_attention":{"rope_theta":1e6},"sliding_attention":{"rope_theta":1e4}}})",
      R"({"model_type":"gpt_oss",)" + sizes +
          R"("num_experts_per_tok":2,"num_local_experts":4,"sliding_window":64,"swiglu_limit":7.0,)"
          R"("rope_scaling":{"rope_type":"yarn","factor":32,"truncate":false}})"};
}

}  // namespace

std::vector<std::string> seeds() {
  const std::string sizes = R"("vocab_size":64,"hidden_size":32,"intermediate_size":64,"num_hidden_layers":2,)"
                            R"("num_attention_heads":4,"head_dim":8,"max_position_embeddings":4096,)";
  std::vector<std::string> all = family_seeds(sizes);
  all.push_back(R"({"architectures":["LlamaForCausalLM"],)" + sizes +
                R"("rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,)"
                R"("original_max_position_embeddings":256},"eos_token_id":[1,2],"dtype":"bfloat16"})");
  all.push_back(
      R"({"model_type":"qwen3",)" + sizes +
      R"("rope_parameters":{"rope_type":"yarn","factor":4.0,"beta_fast":32,"mscale":1.0,"mscale_all_dim":1.0},)"
      R"("layer_types":["full_attention","sliding_attention"],"use_sliding_window":true,"sliding_window":64})");
  all.push_back(R"({"temperature":0.7,"top_k":20,"eos_token_id":null})");
  return all;
}

}  // namespace vortex::fuzz

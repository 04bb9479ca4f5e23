#include "engine/flow_setup.h"

namespace vortex {

void set_flow(const std::string& name_or_file, VortexConfig* config) {
  const flow::FlowRequest request = flow::flow_request(name_or_file);
  if (request.module_path) config->module_path = request.module_path;
  config->module_name = request.module_name;
}

Result<std::unique_ptr<flow::FlowSource>> load_flow(const VortexConfig& config) {
  return flow::load_flow_source({config.module_path, config.module_name, config.compilation_cache_dir});
}

Status check_flow_fits(const VortexConfig& config, const ModelConfig& model) {
  VORTEX_ASSIGN_OR_RETURN(const auto source, load_flow(config));
  return source->check_attention(flow_shape(model, static_cast<int>(config.block_size)));
}

flow::GraphShape flow_shape(const ModelConfig& model, int page_tokens) {
  return {.group = model.heads / model.kv_heads,
          .head_dim = model.head_dim,
          .page_tokens = page_tokens,
          .kv_lora_rank = model.mla.kv_lora_rank,
          .scale = model.attention_scale};
}

Result<std::unique_ptr<flow::CompiledFlow>> compile_flow(const VortexConfig& config, const ModelConfig& model,
                                                         DType kv_dtype, WorkerPool* pool) {
  VORTEX_RETURN_IF_ERROR(validate(config, model.layers));
  VORTEX_ASSIGN_OR_RETURN(const auto source, load_flow(config));
  VORTEX_ASSIGN_OR_RETURN(flow::Graph graph, source->trace(flow_shape(model, static_cast<int>(config.block_size))));
  flow::FlowOptions options;
  options.dtype = config.field_dtype();
  options.kv_dtype = kv_dtype;
  return flow::CompiledFlow::compile(std::move(graph), options, pool);
}

std::vector<bool> sparse_layers(const VortexConfig& config, const ModelConfig& model) {
  std::vector<bool> sparse;
  for (int layer = 0; layer < model.layers; ++layer) sparse.push_back(!model.slides(layer));
  for (int64_t layer : config.layers_skip.value_or(std::vector<int64_t>{})) sparse[static_cast<size_t>(layer)] = false;
  return sparse;
}

}  // namespace vortex

#include "engine/flow_setup.h"

#include "loader/layer_matrices.h"

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

namespace {

/// The weights that the graph names, from the file.
Result<flow::Parameters> load_parameters(const flow::Graph& graph, const std::string& path, int layers) {
  flow::Parameters parameters;
  for (const flow::Node& node : graph.indexer.nodes) {
    if (node.op != flow::Op::kProject || path.empty()) continue;
    auto parameter = std::make_shared<flow::Parameter>();
    parameter->name = node.attributes.parameter;
    parameter->rows = graph.indexer.type(node.output).elements();
    parameter->cols = graph.indexer.type(node.inputs[0]).elements();
    VORTEX_ASSIGN_OR_RETURN(parameter->layers,
                            read_layer_matrices(path, parameter->name, {layers, parameter->rows, parameter->cols}));
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

}  // namespace

Result<std::unique_ptr<flow::CompiledFlow>> compile_flow(const VortexConfig& config, const ModelConfig& model,
                                                         const FlowRig& rig) {
  VORTEX_RETURN_IF_ERROR(validate(config, model.layers));
  VORTEX_ASSIGN_OR_RETURN(const auto source, load_flow(config));
  VORTEX_ASSIGN_OR_RETURN(flow::Graph graph, source->trace(flow_shape(model, static_cast<int>(config.block_size))));
  flow::FlowOptions options;
  options.dtype = config.field_dtype();
  options.kv_dtype = rig.kv_dtype;
  VORTEX_ASSIGN_OR_RETURN(options.parameters, load_parameters(graph, rig.compressor_ckpt, model.layers));
  return flow::CompiledFlow::compile(std::move(graph), options, rig.pool);
}

std::vector<bool> sparse_layers(const VortexConfig& config, const ModelConfig& model) {
  std::vector<bool> sparse;
  for (int layer = 0; layer < model.layers; ++layer) sparse.push_back(!model.slides(layer));
  for (int64_t layer : config.layers_skip.value_or(std::vector<int64_t>{})) sparse[static_cast<size_t>(layer)] = false;
  return sparse;
}

}  // namespace vortex

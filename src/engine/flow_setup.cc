#include "engine/flow_setup.h"

#include "flows/registry.h"

namespace vortex {
namespace {

Result<std::unique_ptr<Flow>> find_flow(const VortexConfig& config) {
  if (!config.module_name)
    return Error{ErrorCode::kConfiguration, "vortex config", "module_name: no flow is named",
                 "`vortex flow list` shows the built-in ones"};
  if (config.module_path)
    return Error{ErrorCode::kUnsupported, "vortex config", "module_path: flows are built in so far",
                 "name one with module_name alone"};
  auto flow = flows::make_flow(*config.module_name);
  if (flow.ok()) return flow;
  Error error = flow.error();
  error.code = ErrorCode::kConfiguration;
  error.where = "module_name";
  return error;
}

}  // namespace

Status check_flow(const VortexConfig& config) {
  VORTEX_RETURN_IF_ERROR(find_flow(config));
  return {};
}

Result<std::unique_ptr<flow::CompiledFlow>> compile_flow(const VortexConfig& config, const ModelConfig& model,
                                                         DType kv_dtype, WorkerPool* pool) {
  VORTEX_RETURN_IF_ERROR(validate(config, model.layers));
  VORTEX_ASSIGN_OR_RETURN(const auto flow, find_flow(config));
  const flow::FlowShape shape{.group = model.heads / model.kv_heads,
                              .head_dim = model.head_dim,
                              .page_tokens = static_cast<int>(config.block_size),
                              .kv_dtype = kv_dtype};
  flow::FlowOptions options;
  options.dtype = config.field_dtype();
  return flow::CompiledFlow::compile(*flow, *config.module_name, shape, options, pool);
}

std::vector<bool> sparse_layers(const VortexConfig& config, int layers) {
  std::vector<bool> sparse(static_cast<size_t>(layers), true);
  for (int64_t layer : config.layers_skip.value_or(std::vector<int64_t>{})) sparse[static_cast<size_t>(layer)] = false;
  return sparse;
}

}  // namespace vortex

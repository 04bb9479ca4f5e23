// From a VortexConfig to a flow that runs: which flow, for what shapes, in what type.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/vortex_config.h"
#include "flow/flow.h"
#include "flow/source/flow_source.h"
#include "loader/model_config.h"

namespace vortex {

/// Names the flow as a command line does, NAME or FILE, over what the config names.
void set_flow(const std::string& name_or_file, VortexConfig* config);

/// The flow that the config names, built in or from its file.
Result<std::unique_ptr<flow::FlowSource>> load_flow(const VortexConfig& config);

/// What a flow is recorded for.
flow::GraphShape flow_shape(const ModelConfig& model, int page_tokens);

/// Loads the flow and refuses it (kConfiguration) when it is for another kind of attention than the model's: for use
/// before the weights are loaded, which may take a minute.
Status check_flow_fits(const VortexConfig& config, const ModelConfig& model);

/// What a flow runs on beside its config.
struct FlowRig {
  DType kv_dtype = DType::kBF16;  // of the cache
  std::string compressor_ckpt;    // safetensors with the weights that the flow names; empty: none
  WorkerPool* pool = nullptr;     // outlives the flow
};

/// Validates the config against the model and compiles its flow for the model's shapes, with its weights.
Result<std::unique_ptr<flow::CompiledFlow>> compile_flow(const VortexConfig& config, const ModelConfig& model,
                                                         const FlowRig& rig);

/// By layer: the flow selects there; false for those of layers_skip, and where a sliding window decides what is read.
std::vector<bool> sparse_layers(const VortexConfig& config, const ModelConfig& model);

}  // namespace vortex

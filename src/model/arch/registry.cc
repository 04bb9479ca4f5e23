#include "model/arch/registry.h"

namespace vortex::model {
namespace {

struct Entry {
  Family family;
  LayerBuilder build;
};

constexpr Entry kFamilies[] = {
    {Family::kLlama, build_llama_layer},
    {Family::kMistral, build_llama_layer},
    {Family::kQwen2, build_qwen2_layer},
    {Family::kQwen3, build_qwen3_layer},
};

}  // namespace

Result<LayerBuilder> find_layer_builder(const ModelConfig& config) {
  for (const Entry& entry : kFamilies)
    if (entry.family == config.family) return entry.build;
  return Error{ErrorCode::kUnsupported, "config",
               fmt::format("architecture {} has no layers here", config.architecture),
               "supported: " + supported_architectures()};
}

std::string layer_prefix(int layer) { return fmt::format("model.layers.{}.", layer); }

}  // namespace vortex::model

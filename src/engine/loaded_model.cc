#include "engine/loaded_model.h"

#include <algorithm>

#include "base/cpu_features.h"
#include "tensor/codes.h"

namespace vortex {
namespace {

DType choose_kv_dtype(const EngineOptions& options, const ModelConfig& config) {
  if (options.kv_cache_dtype != "auto") return *parse_kv_dtype(options.kv_cache_dtype);
  const bool full = options.dtype == "float32" || (options.dtype == "auto" && config.stored_dtype == DType::kF32);
  return full ? DType::kF32 : DType::kBF16;
}

Result<std::optional<model::Quantization>> quantization_of(const EngineOptions& options, WorkerPool* pool) {
  if (options.quantize == "none") return std::optional<model::Quantization>();
  if (options.dtype == "float32")
    return Error{ErrorCode::kConfiguration, "--quantize",
                 fmt::format("products with {} weights are not float32, which --dtype asks for", options.quantize),
                 "leave one of them out; --kv-cache-dtype float32 keeps keys and values in float32"};
  return std::optional(model::Quantization{*parse_dtype(options.quantize), pool});
}

}  // namespace

Result<std::unique_ptr<ModelFiles>> open_model(const EngineOptions& options) {
  return options.load_format == "dummy" ? ModelFiles::open_dummy(options.model) : ModelFiles::open(options.model);
}

Result<int64_t> context_length(const EngineOptions& options, const ModelConfig& config) {
  const int64_t most = config.max_position_embeddings;
  if (options.max_model_len > most)
    return Error{ErrorCode::kConfiguration, "--max-model-len",
                 fmt::format("{} is more than the model's context of {}", options.max_model_len, most), "lower it"};
  const int64_t length = options.max_model_len > 0 ? options.max_model_len : most;
  const int64_t cap = options.vortex ? options.vortex->max_seq_lens : -1;
  return cap > 0 ? std::min(length, cap) : length;
}

Result<LoadedModel> LoadedModel::load(const EngineOptions& options, std::unique_ptr<ModelFiles> files) {
  if (options.device == "cuda")
    return Error{ErrorCode::kUnsupported, "--device", "this build has no CUDA backend", "use --device cpu or auto"};
  VORTEX_RETURN_IF_ERROR(best_isa());
  LoadedModel loaded;
  loaded.files = std::move(files);
  loaded.pool = std::make_unique<WorkerPool>(options.threads > 0 ? options.threads : usable_threads());
  loaded.device = device::make_cpu_device();
  loaded.dense = kernels::make_cpu_dense_ops(loaded.pool.get());
  loaded.attention = attention::make_cpu_attention_ops(loaded.pool.get());
  const model::Backend backend{loaded.dense.get(), loaded.attention.get()};
  VORTEX_ASSIGN_OR_RETURN(const auto quantization, quantization_of(options, loaded.pool.get()));
  VORTEX_ASSIGN_OR_RETURN(loaded.decoder, model::Decoder::load(*loaded.files, backend, quantization));
  loaded.kv_dtype = choose_kv_dtype(options, loaded.config());
  return loaded;
}

}  // namespace vortex

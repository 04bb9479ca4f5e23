#include "engine/loaded_model.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include "base/cpu_features.h"
#include "base/log.h"
#include "comm/host_place.h"
#include "comm/processors.h"
#include "model/cpu_runner.h"
#include "model/cuda_library.h"
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

/// Of a GPU that runs; its library and its name.
struct Gpu {
  const model::CudaEntry* entry = nullptr;
  std::string name;
  model::GpuPlace place;
};

/// Whether VORTEX_CUDA_RANKS lets ranks share a GPU.
Result<bool> ranks_share_gpus() {
  const char* wish = std::getenv("VORTEX_CUDA_RANKS");
  if (wish == nullptr || *wish == '\0') return false;
  if (std::string_view(wish) == "host") return true;
  return Error{ErrorCode::kConfiguration, "VORTEX_CUDA_RANKS", fmt::format("\"{}\" is no way for GPUs to speak", wish),
               "say host, or leave it out"};
}

Result<model::GpuPlace> gpu_place(comm::Communicator* ranks) {
  model::GpuPlace place;
  if (ranks == nullptr) return place;
  VORTEX_ASSIGN_OR_RETURN(place.shared, ranks_share_gpus());
  VORTEX_ASSIGN_OR_RETURN(place.rank, comm::host_place(*ranks));
  return place;
}

Result<Gpu> open_gpu(const model::GpuPlace& place) {
  Gpu gpu;
  gpu.place = place;
  VORTEX_ASSIGN_OR_RETURN(gpu.entry, model::open_cuda_library());
  VORTEX_ASSIGN_OR_RETURN(gpu.name, gpu.entry->open_device(place));
  return gpu;
}

/// The same where ranks compute the same bits and meet in the same way; never 0.
uint64_t number_of(const Gpu& gpu) {
  return std::hash<std::string>()(gpu.name + (gpu.place.shared ? " shared" : "")) | 1;
}

Status check_gpu_options(const EngineOptions& options) {
  if (options.quantize != "none")
    return Error{ErrorCode::kUnsupported, "--quantize", "weights stay bfloat16 on a GPU", "leave it out"};
  if (options.dtype == "float32")
    return Error{ErrorCode::kUnsupported, "--dtype", "a GPU computes in bfloat16", "leave it out"};
  return {};
}

/// The GPU to run on; nothing: the CPU.
Result<std::optional<Gpu>> choose_gpu(const EngineOptions& options, comm::Communicator* ranks) {
  VORTEX_ASSIGN_OR_RETURN(const model::GpuPlace place, gpu_place(ranks));
  if (options.device == "cpu" || (options.device == "auto" && !model::gpu_is_visible())) return std::optional<Gpu>();
  Result<Gpu> gpu = open_gpu(place);
  const Status usable = gpu.ok() ? check_gpu_options(options) : Status(gpu.error());
  if (usable.ok()) return std::optional(std::move(gpu).value());
  if (options.device == "cuda") return usable.error();
  log_debug("no GPU: {}", usable.error().to_string());
  return std::optional<Gpu>();
}

Status load_on_gpu(const EngineOptions& options, const Gpu& gpu, comm::Communicator* ranks, LoadedModel* loaded) {
  loaded->pool = std::make_unique<WorkerPool>(1);
  model::CudaRunnerOptions runner;
  runner.kv_dtype = options.kv_cache_dtype == "auto" ? DType::kBF16 : *parse_kv_dtype(options.kv_cache_dtype);
  if (options.vortex) runner.cache_folder = options.vortex->compilation_cache_dir.value_or("");
  runner.place = gpu.place;
  runner.ranks = ranks;
  VORTEX_ASSIGN_OR_RETURN(loaded->runner, gpu.entry->create(runner, *loaded->files));
  log_info("device: {}", gpu.name);
  return {};
}

Status load_on_cpu(const EngineOptions& options, comm::Group* group, LoadedModel* loaded) {
  if (options.kv_cache_dtype == "fp8_e4m3")
    return Error{ErrorCode::kUnsupported, "--kv-cache-dtype", "fp8_e4m3 is for a GPU", "take int8 on the CPU"};
  VORTEX_RETURN_IF_ERROR(best_isa());
  {
    const comm::BoundThread bound(group != nullptr ? group->processors() : std::vector<int>());
    loaded->pool = std::make_unique<WorkerPool>(options.threads > 0 ? options.threads
                                                : group != nullptr  ? group->threads()
                                                                    : usable_threads());
  }
  loaded->device = device::make_cpu_device();
  loaded->dense = kernels::make_cpu_dense_ops(loaded->pool.get());
  loaded->attention = attention::make_cpu_attention_ops(loaded->pool.get());
  const model::Backend backend{loaded->dense.get(), loaded->attention.get(), loaded->ranks.get()};
  VORTEX_ASSIGN_OR_RETURN(const auto quantization, quantization_of(options, loaded->pool.get()));
  VORTEX_ASSIGN_OR_RETURN(loaded->decoder, model::Decoder::load(*loaded->files, backend, quantization));
  loaded->runner =
      std::make_unique<model::CpuRunner>(loaded->decoder.get(), loaded->attention.get(), loaded->device.get(),
                                         choose_kv_dtype(options, loaded->decoder->config()), loaded->ranks.get());
  log_debug("device: CPU, {} threads", loaded->pool->size());
  return {};
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

Result<LoadedModel> LoadedModel::load(const EngineOptions& options, std::unique_ptr<ModelFiles> files,
                                      comm::Group* group) {
  const bool several = group != nullptr && group->communicator().size() > 1;
  comm::Communicator* ranks = several ? &group->communicator() : nullptr;
  VORTEX_ASSIGN_OR_RETURN(const std::optional<Gpu> gpu, choose_gpu(options, ranks));
  LoadedModel loaded;
  loaded.files = std::move(files);
  if (several) {
    VORTEX_RETURN_IF_ERROR(loaded.files->split(ranks->rank(), ranks->size()));
    loaded.ranks = std::make_unique<model::RankGroup>(ranks, *loaded.files);
    VORTEX_RETURN_IF_ERROR(loaded.ranks->check_alike(gpu ? number_of(*gpu) : 0));
  }
  VORTEX_RETURN_IF_ERROR(gpu ? load_on_gpu(options, *gpu, ranks, &loaded) : load_on_cpu(options, group, &loaded));
  loaded.kv_dtype = loaded.runner->kv_dtype();
  if (several && loaded.ranks->leads()) {
    auto leader = std::make_unique<model::RankLeader>(std::move(loaded.runner), loaded.ranks.get());
    loaded.leader = leader.get();
    loaded.runner = std::move(leader);
  }
  return loaded;
}

}  // namespace vortex

#include <algorithm>

#include "attention/decode_timing.h"
#include "base/cpu_features.h"
#include "base/worker_pool.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/report.h"
#include "eval/report_json.h"
#include "loader/model_files.h"
#include "model/cuda_library.h"
#include "model/paged_decode.h"

namespace vortex::cli {
namespace {

constexpr const char* kWhere = "bench attention";

/// Where attention runs.
struct Machine {
  const model::CudaEntry* gpu = nullptr;  // null: the CPU
  std::string name;
  std::unique_ptr<WorkerPool> pool;

  Result<attention::DecodeTiming> time(const attention::DecodeTask& task) const {
    return gpu != nullptr ? gpu->time_decode(task) : attention::time_decode(task, pool.get());
  }
};

Result<Machine> open_machine(const EngineOptions& options) {
  Machine machine;
  if (options.device == "cuda" || (options.device == "auto" && model::gpu_is_visible())) {
    VORTEX_ASSIGN_OR_RETURN(machine.gpu, model::open_cuda_library());
    VORTEX_ASSIGN_OR_RETURN(machine.name, machine.gpu->open_device({}));
    return machine;
  }
  machine.name = "cpu";
  machine.pool = std::make_unique<WorkerPool>(options.threads > 0 ? options.threads : usable_threads());
  return machine;
}

/// Attention alone, of a layer of a model's shape.
class BenchAttentionCommand final : public Command {
 public:
  std::string_view name() const override { return "bench attention"; }
  std::string_view summary() const override { return "Time decode attention, dense and over lists of pages"; }
  unsigned settings() const override { return kBenchCommand; }

  void add_options(CLI::App& app) override {
    model_.add_model_to(app, /*positional=*/false);
    app.add_option("--batch-size,--batch,-b", task_.batch, "Sequences at once")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    app.add_option("--context", context_, "Tokens of each sequence")
        ->check(CLI::Range(1, 1 << 24))
        ->capture_default_str();
    app.add_option("--pages", pages_, "Pages that a row reads, the first and the last among them; 0: only dense")
        ->check(CLI::Range(0, 1 << 20))
        ->capture_default_str();
    app.add_flag("--json", json_, "Print one JSON object");
  }

  Status run(const Settings& settings) override {
    VORTEX_ASSIGN_OR_RETURN(EngineOptions options, model_.engine_options(settings));
    VORTEX_RETURN_IF_ERROR(model_.resolve(&options));
    VORTEX_ASSIGN_OR_RETURN(const auto files, options.model.ends_with(".gguf") ? ModelFiles::open(options.model)
                                                                               : ModelFiles::open_dummy(options.model));
    VORTEX_RETURN_IF_ERROR(set_task(files->config(), options));
    VORTEX_ASSIGN_OR_RETURN(const Machine machine, open_machine(options));
    VORTEX_RETURN_IF_ERROR(check_room(machine));
    Json report = shape_json(options.model, machine);
    VORTEX_ASSIGN_OR_RETURN(report["dense"], measure(machine, 0));
    if (pages_ > 0) {
      VORTEX_ASSIGN_OR_RETURN(report["sparse"], measure(machine, pages_));
    }
    if (json_) {
      print_json(report);
    } else {
      print_lines(report);
    }
    return {};
  }

 private:
  Status set_task(const ModelConfig& config, const EngineOptions& options) {
    task_.context = context_;
    task_.page_tokens = options.page_size > 0 ? static_cast<int>(options.page_size) : 16;
    task_.kv_heads = config.kv_heads;
    task_.group = config.heads / config.kv_heads;
    task_.head_dim = config.head_dim;
    task_.latent_rank = config.mla.kv_lora_rank;
    task_.scale = model::attention_scale(config);
    if (pages_ > 0 && (pages_ < 3 || pages_ >= task_.context_pages()))
      return Error{ErrorCode::kInvalidArgument, "--pages", fmt::format("{} of {} pages", pages_, task_.context_pages()),
                   "give 3 or more, and fewer than the context has"};
    return {};
  }

  /// A GPU says itself what it has no room for, within reason.
  Status check_room(const Machine& machine) const {
    const int64_t bytes = task_.stored_bytes();
    const auto most = machine.gpu != nullptr ? int64_t{1} << 40 : static_cast<int64_t>(memory_limit_bytes() / 2);
    if (bytes <= most) return {};
    return Error{ErrorCode::kResourceExhausted, kWhere,
                 fmt::format("a layer stores {:.1f} GB of keys and values", 1e-9 * static_cast<double>(bytes)),
                 "lower --batch or --context"};
  }

  Json shape_json(const std::string& model, const Machine& machine) const {
    return {{"model", model},
            {"device", machine.name},
            {"batch", task_.batch},
            {"context", task_.context},
            {"page_size", task_.page_tokens},
            {"kv_heads", task_.kv_heads},
            {"group", task_.group},
            {"head_dim", task_.head_dim},
            {"latent_rank", task_.latent_rank},
            {"machine", eval::machine_json(machine.pool ? machine.pool->size() : 1)}};
  }

  Result<Json> measure(const Machine& machine, int pages) const {
    attention::DecodeTask task = task_;
    task.pages = pages;
    VORTEX_ASSIGN_OR_RETURN(const attention::DecodeTiming timing, machine.time(task));
    const double rate = static_cast<double>(task.read_bytes()) / timing.us * 1e-3;
    return Json{{"pages", pages > 0 ? pages : task.context_pages()},
                {"layer_us", timing.us},
                {"bytes", task.read_bytes()},
                {"gb_per_s", rate},
                {"copy_gb_per_s", timing.copy_gb_per_s},
                {"share_of_copy", rate / timing.copy_gb_per_s},
                {"error", timing.error}};
  }

  static void print_lines(const Json& report) {
    for (const char* kind : {"dense", "sparse"}) {
      if (!report.contains(kind)) continue;
      const Json& r = report[kind];
      fmt::print("{:7}{} pages  {:.1f} us a layer, {:.1f} GB/s ({:.0f} % of a copy)\n", kind, r["pages"].get<int>(),
                 r["layer_us"].get<double>(), r["gb_per_s"].get<double>(), 100 * r["share_of_copy"].get<double>());
    }
  }

  ModelOptions model_;
  attention::DecodeTask task_;
  int context_ = 16384, pages_ = 0;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bench_attention_command() { return std::make_unique<BenchAttentionCommand>(); }

}  // namespace vortex::cli

#include "engine/preflight/preflight.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/worker_pool.h"
#include "engine/flow_setup.h"
#include "engine/page_budget.h"

namespace vortex {
namespace {
namespace fs = std::filesystem;

Finding of_error(const Error& error, Severity severity = Severity::kError) {
  return {severity, error.where, error.message, error.hint};
}

Finding warning(const char* key, std::string message, std::string hint) {
  return {Severity::kWarning, key, std::move(message), std::move(hint)};
}

Finding info(const char* key, std::string message) { return {Severity::kInfo, key, std::move(message), ""}; }

/// A model that stands for all of one kind of attention where there is none.
ModelConfig usual_model(AttentionKind kind) {
  ModelConfig model;
  if (kind == AttentionKind::kMla) {
    model.heads = 16;
    model.kv_heads = 1;
    model.head_dim = 576;
    model.mla = {.kv_lora_rank = 512, .qk_nope_head_dim = 128, .qk_rope_head_dim = 64, .v_head_dim = 128};
    return model;
  }
  model.heads = 32;
  model.kv_heads = 8;
  model.head_dim = 128;
  return model;
}

const char* budget_key(const VortexConfig& c) {
  if (c.schedule_policy) return "schedule_policy";
  return c.topk_ratio == 1.0 ? "topk_ratio" : "topk_val";
}

void check_budget(const VortexConfig& c, const ModelConfig* model, std::vector<Finding>* out) {
  const auto budget = PageBudget::create(c);
  if (!budget.ok()) {
    out->push_back(of_error(budget.error()));
    return;
  }
  if (c.max_topk_val && *c.max_topk_val < c.topk_val && !c.schedule_policy)
    out->push_back(warning("max_topk_val", fmt::format("{} cuts topk_val {}", *c.max_topk_val, c.topk_val),
                           "raise it or lower topk_val"));
  if (c.block_reserved_bos == 0)
    out->push_back(warning("block_reserved_bos", "0: the first tokens, which most models lean on, must win by score",
                           "1 keeps the first page always"));
  if (model == nullptr) return;
  const int64_t context = model->max_position_embeddings, pages = context / c.block_size, read = (*budget)(pages);
  if (read >= pages)
    out->push_back(warning(budget_key(c),
                           fmt::format("the budget covers the model's context of {} tokens ({} pages): attention stays "
                                       "dense",
                                       context, pages),
                           fmt::format("sparsity pays below {} pages", std::max<int64_t>(pages / 4, 1))));
  if (read < pages)
    out->push_back(
        info("budget", fmt::format("{} of {} pages a row at the model's context of {} tokens", read, pages, context)));
  if (c.max_seq_lens > context)
    out->push_back(warning("max_seq_lens",
                           fmt::format("{} is beyond the model's context of {} tokens", c.max_seq_lens, context),
                           "-1 takes the context"));
}

int64_t full_layers(const ModelConfig& model) {
  const std::vector<bool> sparse = sparse_layers(VortexConfig{}, model);
  return std::count(sparse.begin(), sparse.end(), true);
}

void check_layers(const VortexConfig& c, const ModelConfig& model, std::vector<Finding>* out) {
  const std::vector<bool> sparse = sparse_layers(c, model);
  if (std::count(sparse.begin(), sparse.end(), true) == 0)
    out->push_back(
        warning("layers_skip",
                fmt::format("names all {} layers that a flow may select in: attention stays dense", full_layers(model)),
                "leave some out"));
}

void check_sweep(const flow::FlowSource& source, DType dtype, std::vector<Finding>* out) {
  const Sweep sweep = sweep_flow(source, dtype);
  for (const SweepFailure& failure : sweep.failures) {
    Finding finding = of_error(failure.error, Severity::kWarning);
    finding.message = fmt::format("{}: {}", describe_shapes(failure.shapes), finding.message);
    out->push_back(std::move(finding));
  }
  out->push_back(info("sweep", fmt::format("{} of {} shapes compile", sweep.shapes - sweep.failed(), sweep.shapes)));
}

/// That the flow loads and compiles.
void check_flow(const VortexConfig& c, const ModelConfig* given, const PreflightOptions& options,
                std::vector<Finding>* out) {
  const auto source = load_flow(c);
  if (!source.ok()) {
    out->push_back(of_error(source.error()));
    return;
  }
  const ModelConfig model = given != nullptr ? *given : usual_model((*source)->attention());
  WorkerPool pool(1);
  const auto compiled = compile_flow(c, model, {DType::kBF16, options.compressor_ckpt, &pool});
  if (!compiled.ok()) out->push_back(of_error(compiled.error()));
  if (compiled.ok()) {
    out->push_back(info((*source)->name().c_str(),
                        fmt::format("compiles for group {}, head_dim {}, block_size {}; scoring reads {} bytes a page",
                                    model.heads / model.kv_heads, model.head_dim, c.block_size,
                                    (*compiled)->plan().bytes_read_per_page())));
    if ((*compiled)->plan().saves())
      out->push_back(info("Save", "each sequence keeps its own state, so a prefix cache may stay on"));
  }
  if (options.sweep) check_sweep(**source, c.field_dtype(), out);
}

}  // namespace

std::string_view severity_name(Severity severity) {
  constexpr std::string_view kNames[] = {"error", "warning", "info"};
  return kNames[static_cast<size_t>(severity)];
}

std::string Finding::to_string() const {
  return fmt::format("{}: {}", severity_name(severity),
                     Error{ErrorCode::kConfiguration, where, message, hint}.to_string());
}

std::vector<Finding> preflight(const VortexConfig& c, const ModelConfig* model, const PreflightOptions& options) {
  std::vector<Finding> out;
  if (const Status valid = validate(c, model != nullptr ? model->layers : 0); !valid.ok()) {
    out.push_back(of_error(valid.error()));
    return out;
  }
  check_flow(c, model, options, &out);
  check_budget(c, model, &out);
  if (model != nullptr) check_layers(c, *model, &out);
  const std::string unused = fields_without_effect(c);
  if (!unused.empty()) out.push_back(info("no effect on the CPU", unused));
  std::stable_sort(out.begin(), out.end(), [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  return out;
}

void find_module_beside(const std::string& config_path, VortexConfig* config) {
  if (!config->module_path) return;
  const fs::path module = *config->module_path;
  std::error_code failure;
  if (module.is_absolute() || fs::exists(module, failure)) return;
  const fs::path beside = fs::path(config_path).parent_path() / module;
  if (fs::exists(beside, failure)) config->module_path = beside.string();
}

}  // namespace vortex

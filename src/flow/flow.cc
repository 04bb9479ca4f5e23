#include "flow/flow.h"

#include <fmt/core.h>

#include "base/worker_pool.h"
#include "flow/backends/cpu/cpu_backend.h"
#include "flow/frontend/trace.h"
#include "flow/interp/interpreter.h"
#include "flow/plan/backend.h"

namespace vortex::flow {
namespace {

void check_view(const Plan& plan, const PageView& view) {
  VORTEX_CHECK(view.fields.size() == plan.fields.size(), "{} fields in the pool, flow {} has {}", view.fields.size(),
               plan.graph.name, plan.fields.size());
  for (size_t f = 0; f < plan.fields.size(); ++f)
    VORTEX_CHECK(view.fields[f].rows == plan.fields[f].rows && view.fields[f].cols == plan.fields[f].cols &&
                     view.fields[f].dtype == plan.fields[f].dtype,
                 "field {} of the pool differs from the flow's", plan.fields[f].name);
}

}  // namespace

CompiledFlow::CompiledFlow(Plan plan) : plan_(std::move(plan)) {}
CompiledFlow::~CompiledFlow() = default;

Result<std::unique_ptr<CompiledFlow>> CompiledFlow::compile(FlowBase& flow, const std::string& name,
                                                            const GraphShape& shape, const FlowOptions& options,
                                                            WorkerPool* pool) {
  VORTEX_ASSIGN_OR_RETURN(Graph graph, trace(flow, name, shape));
  return compile(std::move(graph), options, pool);
}

Result<std::unique_ptr<CompiledFlow>> CompiledFlow::compile(Graph graph, const FlowOptions& options, WorkerPool* pool) {
  VORTEX_RETURN_IF_ERROR(run_passes(options.passes, &graph));
  VORTEX_ASSIGN_OR_RETURN(Plan plan, make_plan(std::move(graph), options.dtype, options.kv_dtype, options.parameters));
  std::unique_ptr<CompiledFlow> compiled(new CompiledFlow(std::move(plan)));
  if (options.backend == BackendKind::kInterpreter) {
    compiled->backend_ = make_interpreter(compiled->plan_);
  } else {
    VORTEX_ASSIGN_OR_RETURN(compiled->backend_, make_cpu_backend(compiled->plan_, pool));
  }
  return compiled;
}

void CompiledFlow::update(const PageView& view, std::span<const PageId> full_pages) {
  check_view(plan_, view);
  backend_->update(view, full_pages);
}

Status CompiledFlow::select(const PageView& view, const StepPlan& step, const float* q, PageList* list) {
  check_view(plan_, view);
  VORTEX_CHECK(list->rows() == step.rows(), "list of {} rows, step of {}", list->rows(), step.rows());
  failed_rows_.clear();
  backend_->select(view, step, q, list, &failed_rows_);
  if (!plan_.fixed_count()) remove_empty_slots(list);
  if (failed_rows_.empty()) return {};
  return Error{ErrorCode::kInternal, "flow " + plan_.graph.name,
               fmt::format("the score of a page is NaN in {} of {} rows", failed_rows_.size(), step.rows()),
               "the query or the flow's arithmetic is not finite"};
}

std::vector<float> CompiledFlow::scores(const PageView& view, const StepPlan& step, int row, const float* q) {
  check_view(plan_, view);
  return backend_->scores(view, step, row, q);
}

}  // namespace vortex::flow

// The facade: compile a flow for a model's shapes, keep its fields up to date, select the pages that rows read.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "flow/ir/graph.h"
#include "flow/passes/pipeline.h"
#include "flow/plan/plan.h"
#include "tensor/paged.h"

namespace vortex {
class FlowBase;
class WorkerPool;
}  // namespace vortex

namespace vortex::flow {

class Backend;

enum class BackendKind { kInterpreter, kCpu };

struct FlowOptions {
  DType dtype = DType::kBF16;  // of values between groups and of fields: float32, bfloat16, float16, fp8
  BackendKind backend = BackendKind::kCpu;
  PassOptions passes;
  DType kv_dtype = DType::kBF16;  // of k and v, or latent, in the pool: float32, bfloat16, float16, fp8_e4m3, kCode8
  Parameters parameters = {};     // weights that the flow may name
};

/// One flow, ready to run on one device. One caller at a time (the engine thread).
class CompiledFlow {
 public:
  /// Traces `flow` under `name` and compiles it. Errors name the operator, the shapes and the author's line.
  static Result<std::unique_ptr<CompiledFlow>> compile(FlowBase& flow, const std::string& name, const GraphShape& shape,
                                                       const FlowOptions& options, WorkerPool* pool);
  /// Compiles a graph for the shape it was made for. `pool` must outlive the result.
  static Result<std::unique_ptr<CompiledFlow>> compile(Graph graph, const FlowOptions& options, WorkerPool* pool);
  ~CompiledFlow();

  /// Fields to keep beside the base fields (k and v, or latent), in PageView order after them.
  std::span<const FieldSpec> fields() const { return plan_.declared_fields(); }
  const Plan& plan() const { return plan_; }

  /// Runs forward_cache on these full pages (any head, each once): call it when a page's last token is stored, prefill
  /// and decode alike.
  void update(const PageView& view, std::span<const PageId> full_pages);

  /// Fills the middle slots [bos, m - eos) of sparse rows of `list`, which list_reserved_pages prepared; short rows are
  /// untouched. A flow whose plan has no fixed count may choose fewer, then the row's list is shorter. A flow that
  /// saves needs the sequences' states. q is [rows, group, head_dim]. Error (invalid_argument): scores with NaN; every
  /// row's list is complete all the same (NaN ranks lowest) and failed_rows() says which rows to end.
  Status select(const PageView& view, const StepPlan& step, const float* q, PageList* list);
  std::span<const int> failed_rows() const { return failed_rows_; }

  /// Scores of pages [0, n - eos) of one sparse row, as selection reads them, for tests and explanations.
  std::vector<float> scores(const PageView& view, const StepPlan& step, int row, const float* q);

 private:
  explicit CompiledFlow(Plan plan);

  Plan plan_;
  std::unique_ptr<Backend> backend_;
  std::vector<int> failed_rows_;
};

}  // namespace vortex::flow

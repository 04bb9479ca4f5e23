#include "kernels/cuda/gemm.h"

#include <algorithm>
#include <array>
#include <map>

#include "kernels/cuda/add_bias.h"
#include "kernels/cuda/gemm_plan.h"
#include "kernels/cuda/quantize_rows.h"

namespace vortex::cuda {
namespace {

/// What the choice of an algorithm depends on.
using Shape = std::array<int64_t, 16>;

/// A call whose leading dimensions are spelled out.
GemmCall complete(GemmCall call) {
  if (call.weight_ld == 0) call.weight_ld = call.cols;
  if (call.x_ld == 0) call.x_ld = call.cols;
  if (call.y_ld == 0) call.y_ld = call.rows;
  return call;
}

Shape shape_of(const GemmCall& call) {
  const Alignments aligned = alignments(call);
  return {call.tokens,    call.rows,        call.cols,    call.weight_ld,
          call.x_ld,      call.y_ld,        call.y_float, call.accumulate,
          call.batch,     call.weight_step, call.x_step,  call.y_step,
          aligned.weight, aligned.x,        aligned.y,    call.weight_scale != nullptr};
}

}  // namespace

struct Gemm::State {
  LtContext context;
  std::map<Shape, GemmPlan> plans;

  const GemmPlan& plan(const GemmCall& call) {
    const Shape shape = shape_of(call);
    const auto found = plans.find(shape);
    if (found != plans.end()) return found->second;
    return plans.try_emplace(shape, context, call).first->second;
  }

  void run(const GemmCall& call, cudaStream_t stream) { plan(call).run(context, call, stream); }

  /// As many tokens at once as there is room for.
  void run_quantized(const GemmCall& call, cudaStream_t stream) {
    if (call.batch != 1) fail("gemm", "batches have no fp8 weights");
    const int64_t most = std::min(context.scales.size(), context.quantized.size() / call.cols);
    for (int64_t first = 0; first < call.tokens; first += most) {
      GemmCall part = call;
      part.tokens = std::min(most, call.tokens - first);
      part.x = reinterpret_cast<const __nv_bfloat16*>(context.quantized.data());
      part.x_ld = call.cols;
      part.y = static_cast<std::byte*>(call.y) + first * call.y_ld * (call.y_float ? 4 : 2);
      quantize_rows(call.x + first * call.x_ld, call.x_ld, part.tokens, call.cols, context.quantized.data(),
                    context.scales.data(), stream);
      run(part, stream);
    }
  }
};

Gemm::Gemm() : state_(std::make_unique<State>()) {}

Gemm::~Gemm() = default;

void Gemm::run(const GemmCall& given, cudaStream_t stream) {
  if (given.tokens == 0 || given.batch == 0) return;
  const GemmCall call = complete(given);
  if (call.weight_scale != nullptr)
    state_->run_quantized(call, stream);
  else
    state_->run(call, stream);
  if (call.bias != nullptr) add_bias(call, stream);
}

}  // namespace vortex::cuda

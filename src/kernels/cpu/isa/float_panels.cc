// Products with float weights. Each output is one chain of fused multiply-adds over the columns, whatever the number
// of tokens or threads, so a token's result does not depend on the batch it is in.
#include "kernels/cpu/isa/dense_kernels.h"
#include "kernels/cpu/isa/panel_store.h"
#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {
namespace {

using kernels::cpu::PanelTask;

constexpr int kWidth = 2 * kLanes;
constexpr int kTokenBlock = kLanes == 16 ? 12 : 6;  // with two vectors a token, this fills the register file
constexpr int kPanelBlock = 4;                      // panels at once for a single token: hides the latency of a chain

struct Pair {
  F32 low, high;
};

struct F32Weights {
  using Element = float;
  static Pair load_pair(const float* p) { return {load(p), load(p + kLanes)}; }
};
struct F16Weights {
  using Element = uint16_t;
  static Pair load_pair(const uint16_t* p) { return {load_f16(p), load_f16(p + kLanes)}; }
};
struct BF16Weights {
  using Element = uint16_t;
  static Pair load_pair(const uint16_t* p) {
    const BF16Pair pair = load_bf16_pair(p);
    return {pair.even, pair.odd};
  }
};

template <class Weights>
const typename Weights::Element* panel_at(const PanelTask& task, int64_t panel) {
  return reinterpret_cast<const typename Weights::Element*>(task.panels + panel * task.panel_bytes);
}

/// kPanels panels times kTokens tokens.
template <class Weights, int kPanels, int kTokens>
void multiply_block(const PanelTask& task, int64_t panel, int64_t token) {
  Pair sums[kPanels][kTokens];
  for (auto& row : sums)
    for (Pair& sum : row) sum = {zero(), zero()};
  const typename Weights::Element* weights[kPanels];
  for (int p = 0; p < kPanels; ++p) weights[p] = panel_at<Weights>(task, panel + p);
  const float* x = task.x + token * task.x_stride;
  for (int64_t c = 0; c < task.cols; ++c) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) {
      const Pair w = Weights::load_pair(weights[p] + c * kWidth);
#pragma GCC unroll 16
      for (int t = 0; t < kTokens; ++t) {
        const F32 value = set1(x[t * task.x_stride + c]);
        sums[p][t].low = fma(w.low, value, sums[p][t].low);
        sums[p][t].high = fma(w.high, value, sums[p][t].high);
      }
    }
  }
  for (int p = 0; p < kPanels; ++p) {
    for (int t = 0; t < kTokens; ++t) {
      store_rows(task, token + t, (panel + p) * kWidth, sums[p][t].low);
      store_rows(task, token + t, (panel + p) * kWidth + kLanes, sums[p][t].high);
    }
  }
}

/// The last tokens, fewer than a block: largest block first.
template <class Weights, int kTokens>
void multiply_rest(const PanelTask& task, int64_t panel, int64_t token) {
  if (task.tokens - token >= kTokens) {
    multiply_block<Weights, 1, kTokens>(task, panel, token);
    token += kTokens;
  }
  if constexpr (kTokens > 1) multiply_rest<Weights, (kTokens + 1) / 2>(task, panel, token);
}

template <class Weights>
void multiply_one_token(const PanelTask& task, int64_t panels) {
  int64_t panel = 0;
  for (; panel + kPanelBlock <= panels; panel += kPanelBlock) multiply_block<Weights, kPanelBlock, 1>(task, panel, 0);
  for (; panel < panels; ++panel) multiply_block<Weights, 1, 1>(task, panel, 0);
}

template <class Weights>
void multiply(const PanelTask& task) {
  const int64_t panels = (task.rows + kWidth - 1) / kWidth;
  if (task.tokens == 1) return multiply_one_token<Weights>(task, panels);
  for (int64_t panel = 0; panel < panels; ++panel) {
    int64_t token = 0;
    for (; token + kTokenBlock <= task.tokens; token += kTokenBlock)
      multiply_block<Weights, 1, kTokenBlock>(task, panel, token);
    multiply_rest<Weights, kTokenBlock / 2>(task, panel, token);
  }
}

}  // namespace

kernels::cpu::PanelKernel float_panel_kernel(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return multiply<F16Weights>;
    case DType::kBF16:
      return multiply<BF16Weights>;
    default:
      return multiply<F32Weights>;
  }
}

}  // namespace vortex::VORTEX_ISA

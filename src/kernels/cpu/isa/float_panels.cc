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
constexpr int kChainPairs = 4;                      // pairs of chains at once that hide the latency of one

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

/// So few tokens that only several panels at once make enough chains.
template <class Weights, int kTokens>
void multiply_few_tokens(const PanelTask& task, int64_t panels) {
  constexpr int kPanels = kChainPairs / kTokens;
  int64_t panel = 0;
  for (; panel + kPanels <= panels; panel += kPanels) multiply_block<Weights, kPanels, kTokens>(task, panel, 0);
  for (; panel < panels; ++panel) multiply_block<Weights, 1, kTokens>(task, panel, 0);
}

/// One panel times `tokens` tokens, at most kTokens.
template <class Weights, int kTokens = kTokenBlock>
void multiply_tokens(const PanelTask& task, int64_t panel, int64_t token, int64_t tokens) {
  if (tokens == kTokens) return multiply_block<Weights, 1, kTokens>(task, panel, token);
  if constexpr (kTokens > 1) multiply_tokens<Weights, kTokens - 1>(task, panel, token, tokens);
}

template <class Weights>
void multiply(const PanelTask& task) {
  const int64_t panels = (task.rows + kWidth - 1) / kWidth;
  if (task.tokens == 1) return multiply_few_tokens<Weights, 1>(task, panels);
  if (task.tokens == 2) return multiply_few_tokens<Weights, 2>(task, panels);
  // Blocks of nearly the same size: one or two tokens left over would wait for their few chains.
  const int64_t blocks = (task.tokens + kTokenBlock - 1) / kTokenBlock;
  for (int64_t panel = 0; panel < panels; ++panel) {
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t token = task.tokens * b / blocks;
      multiply_tokens<Weights>(task, panel, token, task.tokens * (b + 1) / blocks - token);
    }
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

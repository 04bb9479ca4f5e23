// Products with block-quantised weights: activations in 8 bits, integer sums of 32 columns, float32 sums of those.
// A token's result does not depend on the batch or the threads: every output adds the same terms in the same order.
#include "kernels/cpu/isa/block_type.h"
#include "kernels/cpu/isa/dense_kernels.h"
#include "kernels/cpu/isa/panel_store.h"

namespace vortex::VORTEX_ISA {
namespace {

using kernels::cpu::kGroupCols;
using kernels::cpu::PanelTask;

#if defined(VORTEX_ISA_portable)
constexpr int kTileTokens = 3;  // the least: no tile may be left with one. More take the compiler a minute
#else
constexpr int kTileTokens = 4;
#endif
// How far to fetch ahead of the codes in use: one core then reads as fast as memory gives, measured on Zen 3.
constexpr int64_t kAhead = 2560;

/// The output tile of kPanels panels and kTokens tokens. Columns of x are read once for all panels, codes once for all
/// tokens, and the sums of a group stay in registers.
template <class Type, int kPanels, int kTokens>
struct Tile {
  using Pointers = const uint8_t* const (&)[kPanels];

  F32 out[kPanels][kTokens];
  I32 dots[kPanels][kTokens];
  Sums sums[kPanels][kTokens];

  template <class Body>
  [[gnu::always_inline]] static void for_each(Body body) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t) body(p, t);
    }
  }

  [[gnu::always_inline]] void clear() {
    for_each([&](int p, int t) {
      out[p][t] = zero();
      sums[p][t] = no_sums();
    });
  }

  template <int i>
  [[gnu::always_inline]] void add_two(Pointers codes, const int8_t* x) {
    Bytes w[kPanels][2];
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) unpack_two<Type::kLayout.bits, i>(codes[p], w[p]);
    add_vector<2 * i>(w, x);
    add_vector<2 * i + 1>(w, x);
  }

  template <int k>
  [[gnu::always_inline]] void add_vector(const Bytes (&w)[kPanels][2], const int8_t* x) {
#pragma GCC unroll 4
    for (int t = 0; t < kTokens; ++t) {
      const Columns c = columns(x + t * kGroupCols + 4 * k);
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) sums[p][t] = Type::add(sums[p][t], w[p][k % 2], c);
    }
    if constexpr ((k + 1) % Type::kSumVectors == 0) widen_sums < k % Type::kPartVectors<Type::kSumVectors>();
  }

  template <bool kFirst>
  [[gnu::always_inline]] void widen_sums() {
    for_each([&](int p, int t) {
      dots[p][t] = kFirst ? widen(sums[p][t]) : dots[p][t] + widen(sums[p][t]);
      sums[p][t] = no_sums();
    });
  }

  /// scales and x_sums are the tokens'.
  [[gnu::always_inline]] void add_part(Pointers super_blocks, Pointers groups, int part, const float* scales,
                                       const float* x_sums) {
    F32 scale[kPanels], min[kPanels];
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      scale[p] = Type::scale(super_blocks[p], groups[p], part);
      if constexpr (Type::kHasMin) min[p] = Type::min(super_blocks[p], groups[p]);
    }
    for_each([&](int p, int t) {
      // The min first: the wait for the dot product is the long one.
      if constexpr (Type::kHasMin) out[p][t] = fma(min[p], set1(x_sums[t]), out[p][t]);
      out[p][t] = fma(to_f32(dots[p][t]), scale[p] * set1(scales[t]), out[p][t]);
    });
  }

  [[gnu::always_inline]] void add_group(Pointers super_blocks, Pointers groups, const int8_t* x, const float* scales,
                                        const float* x_sums) {
    const uint8_t* codes[kPanels];
    for (int p = 0; p < kPanels; ++p) codes[p] = groups[p] + Type::kGroupHeader;
    add_two<0>(codes, x);
    add_two<1>(codes, x);
    if constexpr (Type::kParts == 2) add_part(super_blocks, groups, 0, scales, x_sums);
    add_two<2>(codes, x);
    add_two<3>(codes, x);
    add_part(super_blocks, groups, Type::kParts - 1, scales, x_sums);
  }
};

/// `bytes` of weights from `p` on, which may lie behind the matrix: a hint.
template <int bytes>
void fetch(const uint8_t* p) {
#pragma GCC unroll 8
  for (int at = 0; at < bytes; at += 64) __builtin_prefetch(p + at);
}

/// kPanels panels from `panel` on times kTokens tokens from `token` on.
template <class Type, int kPanels, int kTokens>
void multiply_tile(const PanelTask& task, int64_t panel, int64_t token) {
  const int64_t tokens = task.tokens;
  const int8_t* x = task.quantized.codes + token * kGroupCols;
  const float* scales = task.quantized.scales + token;
  const float* sums = task.quantized.sums + token;
  const auto* weights = reinterpret_cast<const uint8_t*>(task.panels + panel * task.panel_bytes);
  Tile<Type, kPanels, kTokens> tile;
  tile.clear();
  for (int64_t at = 0; at < task.panel_bytes; at += Type::kSuperBytes) {
    const uint8_t *super_blocks[kPanels], *groups[kPanels];
    for (int p = 0; p < kPanels; ++p) {
      super_blocks[p] = weights + p * task.panel_bytes + at;
      groups[p] = super_blocks[p] + Type::kSuperHeader;
    }
    // Past the end of its panel, a stream goes on kPanels panels further.
    const int64_t ahead = kAhead + (at + kAhead >= task.panel_bytes ? (kPanels - 1) * task.panel_bytes : 0);
    for (int g = 0; g < Type::kLayout.groups; ++g) {
      for (int p = 0; token == 0 && p < kPanels; ++p)
        fetch<Type::kSuperBytes / Type::kLayout.groups>(groups[p] + ahead);
      tile.add_group(super_blocks, groups, x, scales, sums);
      x += tokens * kGroupCols;
      scales += tokens;
      sums += tokens;
      for (const uint8_t*& group : groups) group += Type::kGroupBytes;
    }
  }
  tile.for_each([&](int p, int t) { store_rows(task, token + t, (panel + p) * kLanes, tile.out[p][t]); });
}

/// Two panels times `tokens` tokens, from 2 to kTokens.
template <class Type, int kTokens = kTileTokens>
void multiply_tokens(const PanelTask& task, int64_t panel, int64_t token, int64_t tokens) {
  if (tokens == kTokens) return multiply_tile<Type, 2, kTokens>(task, panel, token);
  if constexpr (kTokens > 2) multiply_tokens<Type, kTokens - 1>(task, panel, token, tokens);
}

/// Two panels times all tokens, in tiles of nearly the same size.
template <class Type>
void multiply_two_panels(const PanelTask& task, int64_t panel) {
  const int64_t tiles = (task.tokens + kTileTokens - 1) / kTileTokens;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t token = task.tokens * i / tiles;
    multiply_tokens<Type>(task, panel, token, task.tokens * (i + 1) / tiles - token);
  }
}

/// One token reads one panel after the other: two at once are slower to come from memory.
template <DType dtype>
void multiply(const PanelTask& task) {
  using Type = BlockType<dtype>;
  const int64_t panels = (task.rows + kLanes - 1) / kLanes;
  int64_t panel = 0;
  for (; task.tokens > 1 && panel + 2 <= panels; panel += 2) multiply_two_panels<Type>(task, panel);
  for (; panel < panels; ++panel)
    for (int64_t token = 0; token < task.tokens; ++token) multiply_tile<Type, 1, 1>(task, panel, token);
}

}  // namespace

kernels::cpu::PanelKernel block_panel_kernel(DType dtype) {
  switch (dtype) {
    case DType::kQ8_0:
      return multiply<DType::kQ8_0>;
    case DType::kQ4_0:
      return multiply<DType::kQ4_0>;
    case DType::kQ4_1:
      return multiply<DType::kQ4_1>;
    case DType::kQ5_0:
      return multiply<DType::kQ5_0>;
    case DType::kQ5_1:
      return multiply<DType::kQ5_1>;
    case DType::kQ4_K:
      return multiply<DType::kQ4_K>;
    case DType::kQ5_K:
      return multiply<DType::kQ5_K>;
    case DType::kQ6_K:
      return multiply<DType::kQ6_K>;
    default:
      return nullptr;
  }
}

}  // namespace vortex::VORTEX_ISA

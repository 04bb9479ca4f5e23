// Products with block-quantised weights: activations in 8 bits, integer sums of 32 columns, float32 sums of those.
// A token's result does not depend on the batch or the threads: every output adds the same terms in the same order.
#include "kernels/cpu/isa/dense_kernels.h"
#include "kernels/cpu/isa/panel_store.h"
#include "kernels/cpu/panel_layout.h"
#include "kernels/cpu/simd/dot.h"
#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {
namespace {

using kernels::cpu::BlockPanelLayout;
using kernels::cpu::kGroupCols;
using kernels::cpu::kTokenChunk;
using kernels::cpu::PanelTask;

constexpr int kVectors = 8;

const uint16_t* halves(const uint8_t* p) { return reinterpret_cast<const uint16_t*>(p); }

/// Vector k of the upper bits, moved to bit 4 of each byte.
template <int bits_each, int k>
Bytes upper_bits(Bytes packed) {
  return bits<k * bits_each - 4, ((1 << bits_each) - 1) << 4>(packed);
}

template <int k = 0>
void unpack_nibbles(const uint8_t* p, Bytes* w) {
  const Bytes packed = load_bytes(p + 4 * kLanes * k);
  w[k] = bits<0, 15>(packed);
  w[k + 4] = bits<4, 15>(packed);
  if constexpr (k < 3) unpack_nibbles<k + 1>(p, w);
}

template <int bits_each, int count, int k = 0>
void merge_upper_bits(Bytes packed, Bytes* w) {
  w[k] = merge(w[k], upper_bits<bits_each, k>(packed));
  if constexpr (k + 1 < count) merge_upper_bits<bits_each, count, k + 1>(packed, w);
}

/// The codes of one group of 32 columns; unsigned, but for 8 and 6 bits, which come out signed.
template <int code_bits>
void unpack_codes(const uint8_t* p, Bytes (&w)[kVectors]) {
  if constexpr (code_bits == 8) {
    for (int k = 0; k < kVectors; ++k) w[k] = load_bytes(p + 4 * kLanes * k);
    return;
  }
  if constexpr (code_bits < 8) unpack_nibbles(p, w);
  const uint8_t* upper = p + 16 * kLanes;
  if constexpr (code_bits == 5) merge_upper_bits<1, 8>(load_bytes(upper), w);
  if constexpr (code_bits == 6) {
    merge_upper_bits<2, 4>(load_bytes(upper), w);
    merge_upper_bits<2, 4>(load_bytes(upper + 4 * kLanes), w + 4);
    for (int k = 0; k < kVectors; ++k) w[k] = minus<32>(w[k]);
  }
}

/// One group ready for any number of tokens: out += scale * codes . x + min * sum(x).
struct Group {
  Bytes codes[kVectors];
  F32 scale[2];  // the second for columns 16..31 where the type has a scale per 16
  F32 min;
};

template <DType dtype>
struct BlockType {
  static constexpr BlockPanelLayout kLayout = kernels::cpu::block_panel_layout(dtype);
  static constexpr bool kSigned = kLayout.bits == 8 || kLayout.bits == 6;
  static constexpr int kOffset = kSigned || kLayout.super_min ? 0 : 1 << (kLayout.bits - 1);
  static constexpr int kLargest = kLayout.bits == 8 ? 128 : kLayout.bits == 6 ? 32 : (1 << kLayout.bits) - 1;

  static constexpr int kSuperHeader = (kLayout.super_min ? 4 : 2) * kLanes;
  static constexpr int kGroupHeader = (kLayout.scales_per_group + (kLayout.group_min ? 1 : 0)) * kLanes;
  static constexpr int kGroupBytes = kLayout.group_bytes() * kLanes;
  static constexpr int64_t kSuperBytes = int64_t{kLayout.super_bytes()} * kLanes;

  static Group load_group(const uint8_t* super_block, int index) {
    const F32 d = load_f16(halves(super_block));
    const uint8_t* p = super_block + kSuperHeader + index * kGroupBytes;
    Group group;
    group.scale[0] = d;
    if constexpr (kLayout.super_min) group.min = load_f16(halves(super_block + 2 * kLanes));
    if constexpr (kOffset != 0) group.min = d * set1(-kOffset);
    if constexpr (kLayout.group_min) {
      group.scale[0] = d * load_u8(p);
      group.min = zero() - group.min * load_u8(p + kLanes);
    }
    if constexpr (kLayout.scales_per_group == 2) {
      group.scale[0] = d * load_i8(p);
      group.scale[1] = d * load_i8(p + kLanes);
    }
    unpack_codes<kLayout.bits>(p + kGroupHeader, group.codes);
    return group;
  }

  static F32 add_group(const Group& group, const int8_t* x, float scale, float sum, F32 acc) {
    const F32 x_scale = set1(scale);
    if constexpr (kLayout.scales_per_group == 2) {
      acc = fma(to_f32(dot_signed<kLargest, 4>(group.codes, x)), group.scale[0] * x_scale, acc);
      return fma(to_f32(dot_signed<kLargest, 4>(group.codes + 4, x + 16)), group.scale[1] * x_scale, acc);
    } else if constexpr (kSigned) {
      return fma(to_f32(dot_signed<kLargest, 8>(group.codes, x)), group.scale[0] * x_scale, acc);
    } else {
      // The min first: the wait for the dot product is the long one.
      acc = fma(group.min, set1(sum), acc);
      return fma(to_f32(dot_unsigned<kLargest, 8>(group.codes, x)), group.scale[0] * x_scale, acc);
    }
  }
};

/// One panel times all tokens: a group's codes stay in registers while the tokens pass by. A single token's sum does
/// too.
template <class Type, bool kOneToken>
void multiply_panel(const PanelTask& task, int64_t panel) {
  const int64_t tokens = kOneToken ? 1 : task.tokens;
  const int64_t groups = task.cols / kGroupCols;
  const auto* weights = reinterpret_cast<const uint8_t*>(task.panels + panel * task.panel_bytes);
  const int8_t* x = task.quantized.codes;
  const float* scale = task.quantized.scales;
  const float* sum = task.quantized.sums;
  F32 acc[kOneToken ? 1 : kTokenChunk];
  for (int64_t t = 0; t < tokens; ++t) acc[t] = zero();
  for (int64_t first = 0; first < groups; first += Type::kLayout.groups, weights += Type::kSuperBytes) {
    for (int g = 0; g < Type::kLayout.groups; ++g) {
      const Group group = Type::load_group(weights, g);
      for (int64_t t = 0; t < tokens; ++t, x += kGroupCols)
        acc[t] = Type::add_group(group, x, *scale++, *sum++, acc[t]);
    }
  }
  for (int64_t t = 0; t < tokens; ++t) store_rows(task, t, panel * kLanes, acc[t]);
}

template <DType dtype>
void multiply(const PanelTask& task) {
  const int64_t panels = (task.rows + kLanes - 1) / kLanes;
  for (int64_t panel = 0; panel < panels; ++panel) {
    if (task.tokens == 1)
      multiply_panel<BlockType<dtype>, true>(task, panel);
    else
      multiply_panel<BlockType<dtype>, false>(task, panel);
  }
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

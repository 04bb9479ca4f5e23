// How the kernels read a block type's panels (panel_layout.h): codes, scales and mins of one group of columns.
#pragma once

#include "kernels/cpu/panel_layout.h"
#include "kernels/cpu/simd/dot.h"
#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {

constexpr int kGroupVectors = 8;

/// Vector k of the upper bits, moved to bit 4 of each byte.
template <int bits_each, int k>
inline Bytes upper_bits(Bytes packed) {
  return bits<k * bits_each - 4, ((1 << bits_each) - 1) << 4>(packed);
}

/// Vectors 2i and 2i + 1 of a group's codes; unsigned, but for 8 and 6 bits, which come out signed.
template <int code_bits, int i>
inline void unpack_two(const uint8_t* p, Bytes (&w)[2]) {
  constexpr int kBytes = 4 * kLanes;
  if constexpr (code_bits == 8) {
    w[0] = load_bytes(p + 2 * i * kBytes);
    w[1] = load_bytes(p + (2 * i + 1) * kBytes);
    return;
  }
  const Bytes packed = load_bytes(p + i * kBytes);
  w[0] = bits<0, 15>(packed);
  w[1] = bits<4, 15>(packed);
  if constexpr (code_bits == 5) {
    const Bytes upper = load_bytes(p + 4 * kBytes);
    w[0] = merge(w[0], upper_bits<1, 2 * i>(upper));
    w[1] = merge(w[1], upper_bits<1, 2 * i + 1>(upper));
  }
  if constexpr (code_bits == 6) {
    const Bytes upper = load_bytes(p + (4 + i / 2) * kBytes);
    w[0] = minus<32>(merge(w[0], upper_bits<2, 2 * i % 4>(upper)));
    w[1] = minus<32>(merge(w[1], upper_bits<2, 2 * i % 4 + 1>(upper)));
  }
}

/// out += scale * codes . x + min * sum(x), scale and min of a group.
template <DType dtype>
struct BlockType {
  static constexpr kernels::cpu::BlockPanelLayout kLayout = kernels::cpu::block_panel_layout(dtype);
  static constexpr bool kSigned = kLayout.bits == 8 || kLayout.bits == 6;
  static constexpr int kOffset = kSigned || kLayout.super_min ? 0 : 1 << (kLayout.bits - 1);
  static constexpr bool kHasMin = kLayout.super_min || kOffset != 0;
  static constexpr int kLargest = kLayout.bits == 8 ? 128 : kLayout.bits == 6 ? 32 : (1 << kLayout.bits) - 1;

  static constexpr int kParts = kLayout.scales_per_group == 2 ? 2 : 1;  // of a group, each with its scale
  static constexpr int kPartVectors = kGroupVectors / kParts;
  static constexpr int kSumVectors = kSumProducts<kLargest> < kPartVectors ? kSumProducts<kLargest> : kPartVectors;

  static constexpr int kSuperHeader = (kLayout.super_min ? 4 : 2) * kLanes;
  static constexpr int kGroupHeader = (kLayout.scales_per_group + (kLayout.group_min ? 1 : 0)) * kLanes;
  static constexpr int kGroupBytes = kLayout.group_bytes() * kLanes;
  static constexpr int kSuperBytes = kLayout.super_bytes() * kLanes;

  static F32 scale(const uint8_t* super_block, const uint8_t* group, int part) {
    const F32 d = load_f16(halves(super_block));
    if constexpr (kLayout.scales_per_group == 2) return d * load_i8(group + part * kLanes);
    if constexpr (kLayout.scales_per_group == 1) return d * load_u8(group);
    return d;
  }
  static F32 min(const uint8_t* super_block, const uint8_t* group) {
    if constexpr (kOffset != 0) return load_f16(halves(super_block)) * set1(-kOffset);
    const F32 m = load_f16(halves(super_block + 2 * kLanes));
    if constexpr (kLayout.group_min) return zero() - m * load_u8(group + kLanes);
    return m;
  }

  static Sums add(Sums sums, Bytes w, Columns x) {
    if constexpr (kSigned) return add_signed(sums, w, x);
    return add_unsigned(sums, w, x);
  }

 private:
  static const uint16_t* halves(const uint8_t* p) { return reinterpret_cast<const uint16_t*>(p); }
};

}  // namespace vortex::VORTEX_ISA

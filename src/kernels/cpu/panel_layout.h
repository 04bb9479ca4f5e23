// Panels: how the CPU keeps a prepared weight matrix. A panel is a strip of rows, one row a vector lane, stored in
// the order the kernels read it, so that a product streams memory once, forwards, and needs no horizontal sums.
//
// Float types: 2 * lanes rows; for each column the rows' values. bfloat16 puts rows i and i + lanes into the low and
// the high half of 32-bit word i, so that a shift and a mask widen them.
//
// Block types: `lanes` rows, a row of super-blocks of `groups` groups of 32 columns:
//   super-block  scale (float16 a lane) [min (float16 a lane)], then its groups
//   group        [scales_per_group bytes, each a lane] [min (byte a lane)], then the codes
//   codes        vector k of 8 holds columns 4k .. 4k + 3, four bytes a lane
//                8 bits: the 8 vectors; else 4 vectors, number i with 2i in the low and 2i + 1 in the high nibble, then
//                5 bits: 1 vector, bit k of a byte is the fifth bit of vector k
//                6 bits: 2 vectors, bits 2i, 2i + 1 of the p-th are the upper bits of vector 4p + i
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace vortex::kernels::cpu {

constexpr int kGroupCols = 32;

struct BlockPanelLayout {
  int bits = 0;
  int groups = 1;            // per super-block
  bool super_min = false;    // a float16 min beside the float16 scale
  int scales_per_group = 0;  // bytes a lane
  bool group_min = false;    // a byte a lane

  constexpr int super_cols() const { return groups * kGroupCols; }
  constexpr int code_bytes() const { return kGroupCols * bits / 8; }  // a lane and group
  constexpr int group_bytes() const { return scales_per_group + (group_min ? 1 : 0) + code_bytes(); }
  constexpr int super_bytes() const { return (super_min ? 4 : 2) + groups * group_bytes(); }  // a lane
};

constexpr BlockPanelLayout block_panel_layout(DType dtype) {
  switch (dtype) {
    case DType::kQ8_0:
      return {.bits = 8};
    case DType::kQ4_0:
      return {.bits = 4};
    case DType::kQ4_1:
      return {.bits = 4, .super_min = true};
    case DType::kQ5_0:
      return {.bits = 5};
    case DType::kQ5_1:
      return {.bits = 5, .super_min = true};
    case DType::kQ4_K:
      return {.bits = 4, .groups = 8, .super_min = true, .scales_per_group = 1, .group_min = true};
    case DType::kQ5_K:
      return {.bits = 5, .groups = 8, .super_min = true, .scales_per_group = 1, .group_min = true};
    case DType::kQ6_K:
      return {.bits = 6, .groups = 8, .scales_per_group = 2};
    default:
      return {};
  }
}

}  // namespace vortex::kernels::cpu

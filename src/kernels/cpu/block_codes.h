// A GGUF block taken apart: codes without their scales.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace vortex::kernels::cpu {

/// One block of 32 or super-block of 256 weights. Codes are as stored: unsigned, but for the signed bytes of Q8_0.
struct BlockCodes {
  uint16_t scale = 0;  // float16
  uint16_t min = 0;    // float16; the types with super-blocks subtract it
  uint8_t group_scales[16] = {};
  uint8_t group_mins[8] = {};
  uint8_t codes[256] = {};
};

/// Takes apart the block at `src` (any alignment) of a block type.
void extract_codes(DType dtype, const std::byte* src, BlockCodes* out);

}  // namespace vortex::kernels::cpu

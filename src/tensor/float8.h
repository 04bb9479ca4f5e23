// 8-bit floats. Encoding clamps to the largest finite number (448 and 57344), infinities too, and rounds to nearest
// even; NaN stays NaN.
#pragma once

#include <cstdint>

namespace vortex {

uint8_t f32_to_f8e4m3(float x);
uint8_t f32_to_f8e5m2(float x);
float f8e4m3_to_f32(uint8_t x);
float f8e5m2_to_f32(uint8_t x);

}  // namespace vortex

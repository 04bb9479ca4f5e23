#include "flow/backends/cpu/elements.h"

#include <cstring>

#include "tensor/codes.h"
#include "tensor/float8.h"
#include "tensor/half.h"

namespace vortex::flow {
namespace {

float round_one(DType dtype, float x) {
  switch (dtype) {
    case DType::kF16:
      return f16_to_f32(f32_to_f16(x));
    case DType::kF8E4M3:
      return f8e4m3_to_f32(f32_to_f8e4m3(x));
    case DType::kF8E5M2:
      return f8e5m2_to_f32(f32_to_f8e5m2(x));
    default:
      return x;
  }
}

void load_f8(float (*decode)(uint8_t), const std::byte* page, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = decode(std::to_integer<uint8_t>(page[i]));
}

template <class Number>
void store_numbers(Number (*encode)(float), const float* x, std::byte* page, int64_t n) {
  auto* to = reinterpret_cast<Number*>(page);
  for (int64_t i = 0; i < n; ++i) to[i] = encode(x[i]);
}

}  // namespace

Element element_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return Element::kF32;
    case DType::kBF16:
      return Element::kBF16;
    case DType::kF16:
      return Element::kF16;
    case DType::kF8E4M3:
      return Element::kF8E4M3;
    case DType::kF8E5M2:
      return Element::kF8E5M2;
    default:
      return Element::kCodes;
  }
}

void load_page(const TileKernels& kernels, const FieldView& field, const std::byte* page, float* out) {
  const int64_t n = int64_t{field.rows} * field.cols;
  const Element element = element_of(field.dtype);
  switch (element) {
    case Element::kCodes:
      return decode_page({field.dtype, field.rows, field.cols}, page, out);
    case Element::kF8E4M3:
      return load_f8(f8e4m3_to_f32, page, out, n);
    case Element::kF8E5M2:
      return load_f8(f8e5m2_to_f32, page, out, n);
    default:
      return kernels.decode(element, page, out, n);
  }
}

void store_page(const TileKernels& kernels, const FieldView& field, const float* x, std::byte* page) {
  const int64_t n = int64_t{field.rows} * field.cols;
  switch (element_of(field.dtype)) {
    case Element::kCodes:
      return encode_page({field.dtype, field.rows, field.cols}, x, page);
    case Element::kF32:
      std::memcpy(page, x, static_cast<size_t>(n) * sizeof(float));
      return;
    case Element::kBF16:
      return kernels.encode_bf16(x, reinterpret_cast<uint16_t*>(page), n);
    case Element::kF16:
      return store_numbers(f32_to_f16, x, page, n);
    case Element::kF8E4M3:
      return store_numbers(f32_to_f8e4m3, x, page, n);
    case Element::kF8E5M2:
      return store_numbers(f32_to_f8e5m2, x, page, n);
  }
}

void round_floats(const TileKernels& kernels, DType dtype, const float* x, float* out, int64_t n) {
  if (dtype == DType::kBF16) return kernels.round_bf16(x, out, n);
  for (int64_t i = 0; i < n; ++i) out[i] = round_one(dtype, x[i]);
}

}  // namespace vortex::flow

#include "kernels/cpu/simd/simd_test_functions.h"

#include "kernels/cpu/simd/dot.h"
#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {
namespace {

constexpr int kBytes = 4 * kLanes;

void arithmetic(const float* a, const float* b, const float* c, float* out) {
  const F32 x = load(a), y = load(b), z = load(c);
  const F32 results[] = {x + y, x - y, x * y, x / y, max(x, y), min(x, y), fma(x, y, z)};
  for (const F32& result : results) {
    store(out, result);
    out += kLanes;
  }
}

template <int largest, int count, bool with_sign>
void dot_codes(const uint8_t* codes, const int8_t* x, float* out) {
  Bytes w[count];
  for (int k = 0; k < count; ++k) w[k] = load_bytes(codes + k * kBytes);
  if constexpr (with_sign)
    store(out, to_f32(dot_signed<largest, count>(w, x)));
  else
    store(out, to_f32(dot_unsigned<largest, count>(w, x)));
}

void store_bytes(const Bytes& b, uint8_t* out) { __builtin_memcpy(out, &b, kBytes); }

void byte_fields(const uint8_t* x, uint8_t* out) {
  const Bytes b = load_bytes(x);
  store_bytes(bits<0, 15>(b), out);
  store_bytes(bits<4, 15>(b), out + kBytes);
  store_bytes(merge(bits<-4, 48>(b), bits<0, 0>(b)), out + 2 * kBytes);
  store_bytes(minus<32>(b), out + 3 * kBytes);
}

}  // namespace

extern const simd_test::Functions kSimdTestFunctions;
constinit const simd_test::Functions kSimdTestFunctions = {
    .lanes = kLanes,
    .exp = [](const float* x, float* out) { store(out, exp(load(x))); },
    .round_nearest = [](const float* x, float* out) { store(out, round_nearest(load(x))); },
    .scale_by_pow2 = [](const float* x, const float* n, float* out) { store(out, scale_by_pow2(load(x), load(n))); },
    .zero_below = [](const float* x, const float* bound, const float* a,
                     float* out) { store(out, zero_below(load(x), load(bound), load(a))); },
    .arithmetic = arithmetic,
    .reduce =
        [](const float* x, float* out) {
          out[0] = reduce_add(load(x));
          out[1] = reduce_max(load(x));
        },
    .copy_n = [](const float* x, int n, float* out) { store(out, load_n(x, n)); },
    .store_n = [](const float* x, int n, float* out) { store_n(out, load(x), n); },
    .load_bf16 = [](const uint16_t* x, float* out) { store(out, load_bf16(x)); },
    .load_bf16_pair =
        [](const uint16_t* x, float* out) {
          const BF16Pair pair = load_bf16_pair(x);
          store(out, pair.even);
          store(out + kLanes, pair.odd);
        },
    .load_f16 = [](const uint16_t* x, float* out) { store(out, load_f16(x)); },
    .store_bf16 = [](const float* x, uint16_t* out) { store_bf16(out, load(x)); },
    .bytes_to_float =
        [](const uint8_t* x, float* out) {
          store(out, load_u8(x));
          store(out + kLanes, load_i8(x));
        },
    .store_i8 = [](const float* x, int8_t* out) { store_i8(out, load(x)); },
    .dot_u4 = dot_codes<15, 8, false>,
    .dot_u5 = dot_codes<31, 8, false>,
    .dot_i6 = dot_codes<32, 4, true>,
    .dot_i8 = dot_codes<128, 8, true>,
    .byte_fields = byte_fields,
};

}  // namespace vortex::VORTEX_ISA

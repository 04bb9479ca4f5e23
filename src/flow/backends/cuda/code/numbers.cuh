// Numbers as fields store them, rounding, and teams of threads.
namespace vortex::flow_code {

enum Type { kF32, kF16, kBF16, kF8E4M3, kF8E5M2, kCode8, kCode4, kCode2, kCode1 };

inline float from_bits(uint32_t bits) { return __uint_as_float(bits); }
inline uint32_t bits_of(float x) { return __float_as_uint(x); }
inline float infinity() { return from_bits(0x7f800000u); }
inline bool is_nan(float x) { return x != x; }

inline float bf16_to_f32(uint16_t x) { return from_bits(uint32_t{x} << 16); }
inline uint16_t f32_to_bf16(float x) {
  const uint32_t bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

template <int kMantissa, int kBias>
uint8_t f32_to_f8(float x, float largest) {
  const uint32_t sign = bits_of(x) >> 24 & 0x80u;
  if (is_nan(x)) return static_cast<uint8_t>(sign | 0x7fu);
  const float magnitude = fminf(fabsf(x), largest);
  if (magnitude < ldexpf(1.0f, 1 - kBias))
    return static_cast<uint8_t>(sign | static_cast<uint32_t>(rintf(ldexpf(magnitude, kBias - 1 + kMantissa))));
  constexpr int kDrop = 23 - kMantissa;
  uint32_t bits = bits_of(magnitude);
  bits += (1u << (kDrop - 1)) - 1 + (bits >> kDrop & 1u);
  return static_cast<uint8_t>(sign | ((bits >> kDrop) - (static_cast<uint32_t>(127 - kBias) << kMantissa)));
}
template <int kMantissa, int kBias>
float f8_to_f32(uint8_t x) {
  const int exponent = (x & 0x7f) >> kMantissa, fraction = x & ((1 << kMantissa) - 1);
  const int whole = exponent == 0 ? fraction : fraction + (1 << kMantissa);
  const float value = ldexpf(static_cast<float>(whole), max(exponent, 1) - kBias - kMantissa);
  return (x & 0x80) != 0 ? -value : value;
}
inline uint8_t f32_to_e4m3(float x) { return f32_to_f8<3, 7>(x, 448.0f); }
inline uint8_t f32_to_e5m2(float x) { return f32_to_f8<2, 15>(x, 57344.0f); }
inline float e4m3_to_f32(uint8_t x) { return (x & 0x7f) == 0x7f ? from_bits(0x7fc00000u) : f8_to_f32<3, 7>(x); }
inline float e5m2_to_f32(uint8_t x) {
  if ((x & 0x7f) > 0x7c) return from_bits(0x7fc00000u);
  if ((x & 0x7f) == 0x7c) return (x & 0x80) != 0 ? -infinity() : infinity();
  return f8_to_f32<2, 15>(x);
}

/// x as a value of this type holds it.
template <int kType>
float round_to(float x) {
  if constexpr (kType == kBF16) return bf16_to_f32(f32_to_bf16(x));
  if constexpr (kType == kF16) return f16_to_f32(f32_to_f16(x));
  if constexpr (kType == kF8E4M3) return e4m3_to_f32(f32_to_e4m3(x));
  if constexpr (kType == kF8E5M2) return e5m2_to_f32(f32_to_e5m2(x));
  return x;
}

/// Element i of plain numbers.
template <int kType>
float load_plain(const unsigned char* data, int64_t i) {
  if constexpr (kType == kF32) return reinterpret_cast<const float*>(data)[i];
  if constexpr (kType == kBF16) return bf16_to_f32(reinterpret_cast<const uint16_t*>(data)[i]);
  if constexpr (kType == kF16) return f16_to_f32(reinterpret_cast<const uint16_t*>(data)[i]);
  if constexpr (kType == kF8E4M3) return e4m3_to_f32(data[i]);
  return e5m2_to_f32(data[i]);
}
template <int kType>
void store_plain(unsigned char* data, int64_t i, float x) {
  if constexpr (kType == kF32) reinterpret_cast<float*>(data)[i] = x;
  if constexpr (kType == kBF16) reinterpret_cast<uint16_t*>(data)[i] = f32_to_bf16(x);
  if constexpr (kType == kF16) reinterpret_cast<uint16_t*>(data)[i] = f32_to_f16(x);
  if constexpr (kType == kF8E4M3) data[i] = f32_to_e4m3(x);
  if constexpr (kType == kF8E5M2) data[i] = f32_to_e5m2(x);
}

/// Threads that work on one thing: a warp on a page, a block on a row.
struct Warp {
  static constexpr bool kAlone = false;
  int thread() const { return static_cast<int>(threadIdx.x & 31); }
  int threads() const { return 32; }
  int warp() const { return 0; }
  int warps() const { return 1; }
  void sync() const { __syncwarp(); }
};
struct Block {
  static constexpr bool kAlone = false;
  int thread() const { return static_cast<int>(threadIdx.x); }
  int threads() const { return static_cast<int>(blockDim.x); }
  int warp() const { return static_cast<int>(threadIdx.x >> 5); }
  int warps() const { return static_cast<int>(blockDim.x >> 5); }
  void sync() const { __syncthreads(); }
};
/// A thread that has a page for itself.
struct Lane {
  static constexpr bool kAlone = true;
  int thread() const { return 0; }
  int threads() const { return 1; }
  void sync() const {}
};
inline int lane_id() { return static_cast<int>(threadIdx.x & 31); }

inline float warp_sum(float x) {
  for (int mask = 16; mask > 0; mask >>= 1) x += __shfl_xor_sync(0xffffffffu, x, mask);
  return x;
}
inline float warp_max(float x) {
  for (int mask = 16; mask > 0; mask >>= 1) x = max_nan(x, __shfl_xor_sync(0xffffffffu, x, mask));
  return x;
}

}  // namespace vortex::flow_code

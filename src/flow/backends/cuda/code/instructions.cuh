// What NVRTC lacks without headers, and what C++ has no name for. A stand-in for the device (tests/emulator) brings its
// own.
#ifdef __CUDA_ARCH__
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;

namespace vortex::flow_code {

/// The shared memory whose size the launch gives.
inline float* dynamic_shared() {
  extern __shared__ __align__(16) float memory[];
  return memory;
}

inline float f16_to_f32(uint16_t x) {
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(x));
  return out;
}
inline uint16_t f32_to_f16(float x) {
  uint16_t out;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out) : "f"(x));
  return out;
}
/// NaN when either is.
inline float max_nan(float x, float y) {
  float out;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(out) : "f"(x), "f"(y));
  return out;
}
/// sum += A [16, 32] of unsigned bytes times B [32, 8] of signed ones, by a warp: fragments of mma.m16n8k32.
inline void multiply_bytes(int (&sum)[4], const uint32_t (&a)[4], uint2 b) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y));
}

}  // namespace vortex::flow_code
#endif

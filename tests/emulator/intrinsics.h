// The words and functions of CUDA C++ that kernels use, on top of grid.h.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "grid.h"

// Static shared arrays are reused by the next block, as on a GPU: no kernel may expect zeros.
#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __launch_bounds__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)
#define __grid_constant__

#define threadIdx (::vortex::emulator::here->thread)
#define blockIdx (::vortex::emulator::here->block)
#define blockDim (::vortex::emulator::here->block_size)
#define gridDim (::vortex::emulator::here->grid_size)

namespace vortex::emulator {

template <class T>
const Brought* exchange(unsigned mask, const T& value) {
  static_assert(sizeof(T) <= sizeof(Brought));
  return exchange(mask, &value, sizeof(T));
}
template <class T>
T taken(const Brought& from) {
  T value;
  std::memcpy(&value, from.bytes, sizeof(T));
  return value;
}
inline int lane() { return static_cast<int>(here->thread.x % kLanes); }

}  // namespace vortex::emulator

inline void __syncthreads() { vortex::emulator::sync_threads(); }
inline void __syncwarp(unsigned mask = ~0u) { vortex::emulator::exchange(mask, nullptr, 0); }
inline void __threadfence() {}

template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return vortex::emulator::taken<T>(vortex::emulator::exchange(mask, value)[lane % 32]);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int other) {
  return vortex::emulator::taken<T>(vortex::emulator::exchange(mask, value)[vortex::emulator::lane() ^ other]);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, int distance) {
  const auto* all = vortex::emulator::exchange(mask, value);
  const int from = vortex::emulator::lane() - distance;
  return from < 0 ? value : vortex::emulator::taken<T>(all[from]);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int distance) {
  const auto* all = vortex::emulator::exchange(mask, value);
  const int from = vortex::emulator::lane() + distance;
  return from > 31 ? value : vortex::emulator::taken<T>(all[from]);
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value) {
  const auto* all = vortex::emulator::exchange(mask, value);
  unsigned same = 0;
  for (unsigned i = 0; i < 32; ++i)
    if ((mask >> i & 1) != 0 && vortex::emulator::taken<T>(all[i]) == value) same |= 1u << i;
  return same;
}
inline unsigned __ballot_sync(unsigned mask, int flag) {
  const int asked = flag != 0;
  const auto* all = vortex::emulator::exchange(mask, asked);
  unsigned votes = 0;
  for (unsigned i = 0; i < 32; ++i)
    if ((mask >> i & 1) != 0 && vortex::emulator::taken<int>(all[i]) != 0) votes |= 1u << i;
  return votes;
}
inline int __any_sync(unsigned mask, int flag) { return __ballot_sync(mask, flag) != 0; }
inline int __all_sync(unsigned mask, int flag) { return __ballot_sync(mask, flag == 0) == 0; }
template <class T, class Merge>
T vortex_reduce_lanes(unsigned mask, T value, Merge merge) {
  const auto* all = vortex::emulator::exchange(mask, value);
  T sum = value;
  for (int i = 0; i < 32; ++i)
    if ((mask >> i & 1) != 0 && i != vortex::emulator::lane()) sum = merge(sum, vortex::emulator::taken<T>(all[i]));
  return sum;
}
template <class T>
T __reduce_add_sync(unsigned mask, T value) {
  return vortex_reduce_lanes(mask, value, [](T a, T b) { return a + b; });
}
template <class T>
T __reduce_max_sync(unsigned mask, T value) {
  return vortex_reduce_lanes(mask, value, [](T a, T b) { return a > b ? a : b; });
}
template <class T>
T __reduce_min_sync(unsigned mask, T value) {
  return vortex_reduce_lanes(mask, value, [](T a, T b) { return a < b ? a : b; });
}

// One thread runs at a time.
template <class T, class Change>
T vortex_change(T* at, Change change) {
  const T before = *at;
  *at = change(before);
  return before;
}
template <class T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  return vortex_change(at, [&](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  return vortex_change(at, [&](T old) { return old < value ? old : value; });
}
template <class T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  return vortex_change(at, [&](T old) { return old > value ? old : value; });
}
template <class T>
T atomicOr(T* at, std::type_identity_t<T> value) {
  return vortex_change(at, [&](T old) { return static_cast<T>(old | value); });
}
template <class T>
T atomicExch(T* at, std::type_identity_t<T> value) {
  return vortex_change(at, [&](T) { return value; });
}
inline unsigned atomicInc(unsigned* at, unsigned most) {
  return vortex_change(at, [&](unsigned old) { return old >= most ? 0 : old + 1; });
}

template <class T>
T __ldg(const T* at) {
  return *at;
}
template <class T>
T __ldcg(const T* at) {
  return *at;
}
template <class T>
T __ldcs(const T* at) {
  return *at;
}
template <class T>
void __stcg(T* at, std::type_identity_t<T> value) {
  *at = value;
}

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __expf(float x) { return std::exp(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline unsigned long long __float2ull_rn(float x) { return static_cast<unsigned long long>(std::nearbyint(x)); }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
inline int __dp4a(int a, int b, int sum) {
  for (int i = 0; i < 4; ++i) sum += static_cast<signed char>(a >> 8 * i) * static_cast<signed char>(b >> 8 * i);
  return sum;
}
template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  return static_cast<std::common_type_t<A, B>>(b) < a ? b : a;
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  return a < static_cast<std::common_type_t<A, B>>(b) ? b : a;
}

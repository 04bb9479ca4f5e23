// Stands before src/device/cuda/ptx.cuh, with the same functions: what each instruction does is said there.
#pragma once

#include <array>
#include <cstdint>

#include "intrinsics.h"

namespace vortex::cuda {

template <class T>
T* dynamic_shared() {
  return reinterpret_cast<T*>(emulator::dynamic_memory());
}

inline uint32_t shared_address(const void* pointer) {
  const auto offset = static_cast<const unsigned char*>(pointer) - emulator::dynamic_memory();
  if (offset < 0 || offset >= emulator::kSharedBytes) __builtin_trap();
  return static_cast<uint32_t>(offset);
}
inline unsigned char* shared_pointer(uint32_t address) {
  if (address + 16 > static_cast<uint32_t>(emulator::kSharedBytes) || address % 4 != 0) __builtin_trap();
  return emulator::dynamic_memory() + address;
}

inline void copy_async(uint32_t to, const void* from, int bytes) {
  if (to % 16 != 0 || (bytes > 0 && reinterpret_cast<uintptr_t>(from) % 16 != 0)) __builtin_trap();
  emulator::copy_later(shared_pointer(to), from, bytes);
}
inline void commit_copies() { emulator::commit_copies(); }
template <int Pending>
void wait_copies() {
  emulator::wait_copies(Pending);
}

inline void load_shared(uint32_t (&out)[4], uint32_t from) { std::memcpy(out, shared_pointer(from), 16); }
inline void store_shared(uint32_t to, const uint32_t (&values)[4]) { std::memcpy(shared_pointer(to), values, 16); }
inline void store_shared(uint32_t to, uint32_t value) { std::memcpy(shared_pointer(to), &value, 4); }

namespace emulated {

inline uint32_t pair(uint16_t low, uint16_t high) { return low | uint32_t{high} << 16; }
inline uint16_t half(uint32_t pair, int which) { return static_cast<uint16_t>(pair >> 16 * which); }
inline uint16_t element(const emulator::Brought* addresses, int tile, int row, int col) {
  uint16_t value;
  std::memcpy(&value, shared_pointer(emulator::taken<uint32_t>(addresses[8 * tile + row])) + 2 * col, 2);
  return value;
}
inline float from_bf16(uint16_t x) { return std::bit_cast<float>(uint32_t{x} << 16); }
inline float from_f16(uint16_t x) { return static_cast<float>(std::bit_cast<_Float16>(x)); }

/// A lane's registers in a product: rows l / 4 and l / 4 + 8 of a, column l / 4 of b, elements 2 (l % 4), the next, and
/// those 8 further.
struct Operands {
  uint32_t a[4], b[2];
};

template <float (*Widen)(uint16_t)>
void multiply_add(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const Operands mine{{a[0], a[1], a[2], a[3]}, {b0, b1}};
  const emulator::Brought* all = emulator::exchange(~0u, mine);
  const int lane = emulator::lane();
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4, col = lane % 4 * 2 + i % 2;
    float sum = 0;
    for (int quad = 0; quad < 4; ++quad) {
      const auto left = emulator::taken<Operands>(all[row * 4 + quad]),
                 right = emulator::taken<Operands>(all[col * 4 + quad]);
      for (int k = 0; k < 4; ++k)
        sum += Widen(half(left.a[i / 2 + k / 2 * 2], k % 2)) * Widen(half(right.b[k / 2], k % 2));
    }
    sums[i] += sum;
  }
}

}  // namespace emulated

inline void load_tiles(uint32_t (&tiles)[4], uint32_t address) {
  const emulator::Brought* all = emulator::exchange(~0u, address);
  const int row = emulator::lane() / 4, col = emulator::lane() % 4 * 2;
  for (int i = 0; i < 4; ++i)
    tiles[i] = emulated::pair(emulated::element(all, i, row, col), emulated::element(all, i, row, col + 1));
  __syncwarp();
}
inline void load_transposed(uint32_t (&tiles)[4], uint32_t address) {
  const emulator::Brought* all = emulator::exchange(~0u, address);
  const int col = emulator::lane() / 4, row = emulator::lane() % 4 * 2;
  for (int i = 0; i < 4; ++i)
    tiles[i] = emulated::pair(emulated::element(all, i, row, col), emulated::element(all, i, row + 1, col));
  __syncwarp();
}
inline uint32_t transpose_8x8(uint32_t value) {
  const emulator::Brought* all = emulator::exchange(~0u, value);
  const int col = emulator::lane() / 4, row = emulator::lane() % 4 * 2;
  const auto at = [&](int r) { return emulated::half(emulator::taken<uint32_t>(all[r * 4 + col / 2]), col % 2); };
  return emulated::pair(at(row), at(row + 1));
}

inline void multiply_add(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulated::multiply_add<emulated::from_bf16>(sums, a, b0, b1);
}
inline void multiply_add_half(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulated::multiply_add<emulated::from_f16>(sums, a, b0, b1);
}

inline float exp2_fast(float x) { return std::exp2(x); }

}  // namespace vortex::cuda

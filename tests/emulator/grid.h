// Blocks of threads on the CPU: each thread of a block is a fiber that runs until it waits for others. Nothing here
// needs the headers of CUDA, so that flows compile against it quickly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace vortex::emulator {

struct Index {
  unsigned x = 1, y = 1, z = 1;
};

/// Where the running thread is.
struct Here {
  Index thread, block, block_size, grid_size;
};
extern const Here* here;

inline constexpr int kLanes = 32;
inline constexpr int kSharedBytes = 227 << 10;  // of a block at most, as on a GPU of compute capability 9.0

/// What a kernel's block may have of shared memory beside its static arrays.
unsigned char* dynamic_memory();

/// Waits for all threads of the block that have not ended.
void sync_threads();

/// What the lanes of a warp bring to an operation they do together.
struct Brought {
  alignas(16) std::byte bytes[32];
};
/// Waits for the lanes of `mask`; what each brought, by lane. Valid until the caller's next exchange.
const Brought* exchange(unsigned mask, const void* value, size_t bytes);

/// Copies that are made when they are waited for, and not before: what was not waited for is not there.
void copy_later(void* to, const void* from, int bytes);
void commit_copies();
void wait_copies(int pending);

/// Runs body() for every thread of every block, one block after the other. Threads that wait for each other for ever,
/// and more shared memory than there is, end the program with a line that names the kernel.
void run_grid(const char* kernel, Index grid, int threads, int shared_bytes, const std::function<void()>& body);

}  // namespace vortex::emulator

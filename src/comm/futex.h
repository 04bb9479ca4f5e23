// Sleeping until a word of shared memory changes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace vortex::comm {

/// Sleeps while `word` holds `value`, at most for `most`; may return early for no reason.
void futex_wait(const std::atomic<uint32_t>& word, uint32_t value, std::chrono::milliseconds most);
/// Wakes all who sleep on `word`, in every process.
void futex_wake(const std::atomic<uint32_t>& word);

}  // namespace vortex::comm

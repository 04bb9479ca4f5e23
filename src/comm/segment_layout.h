// What lies in the memory that the ranks of one host share: a header, a state a rank, two slots a rank.
//
// An operation is a row of steps, the same on all ranks. In step n (from 1) a rank may leave up to slot_bytes in its
// slot n % 2 and then stores n to `posted`, which also says: I have read all I wanted of the steps before n. So a rank
// may fill its slot for step n once all ranks have posted n - 1.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vortex::comm {

inline constexpr uint64_t kSegmentMagic = 0x6d6d6f4378747256;  // "VrtxComm"
inline constexpr uint32_t kSegmentLayout = 2;
inline constexpr size_t kSeparation = 128;  // two cache lines: the processor fetches them in pairs

enum class Presence : uint32_t { kAbsent, kPresent, kLeft };

/// What a step belongs to, so that ranks which call different operations are found out.
struct StepTag {
  uint64_t operation = 0;
  uint64_t bytes = 0;  // of the whole operation; 0: not known to this rank
};

struct alignas(kSeparation) RankState {
  std::atomic<uint32_t> posted;    // the last step; wraps around; a futex
  std::atomic<uint32_t> sleepers;  // ranks that sleep on `posted`
  StepTag tags[2];                 // of step n at n % 2; written before `posted`
  alignas(kSeparation) std::atomic<uint32_t> beat;
  std::atomic<Presence> presence;
  std::atomic<int32_t> process;  // that beats for this rank; 0: none yet
};

struct alignas(kSeparation) SegmentHeader {
  uint64_t magic;
  uint32_t layout;
  uint32_t ranks;
  uint64_t nonce[2];
  char build[64];  // ends with a zero
  uint64_t slot_bytes;
  alignas(kSeparation) std::atomic<uint32_t> failure;  // of failure.h; 0: none
};

static_assert(std::atomic<uint32_t>::is_always_lock_free && std::atomic<Presence>::is_always_lock_free,
              "atomics that processes share must be plain words");

}  // namespace vortex::comm

// What rank 0 tells the others: the steps that it launches. Page tables travel whole: a step's are small beside what
// it reads.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/batch.h"
#include "model/message.h"
#include "tensor/sequence_state.h"

namespace vortex::model {

enum class RankOrder : uint8_t {
  kStep,       // a Batch
  kSynthetic,  // fill_synthetic: a table and a count of tokens
  kErase,      // the pages of one slab
  kLeave,      // the model is closed
};

/// What a flow saves for a sequence has a number on the wire; numbers are used once. The states themselves stay with
/// each rank.
using StateId = uint64_t;
constexpr StateId kNoState = 0;

/// A Batch as the followers of rank 0 hold it.
class ReceivedBatch {
 public:
  /// What `from` holds. `kv_heads` are this rank's. kDataLoss when it is no batch.
  Status read(MessageReader* from, int kv_heads);
  const Batch& batch() const { return batch_; }

 private:
  Batch batch_;
  std::vector<SlabId> tables_;
  std::map<StateId, SequenceState> states_;
};

/// `states`: of the plan's sequences. `released`: states that no sequence has any more.
void write_batch(const Batch& batch, std::span<const StateId> states, std::span<const StateId> released,
                 MessageWriter* out);

}  // namespace vortex::model

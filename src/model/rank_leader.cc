#include "model/rank_leader.h"

#include <utility>

#include "base/log.h"

namespace vortex::model {
namespace {

/// Lives as long as the state of a sequence, and then says so.
struct StateNumber {
  StateId id;
  std::shared_ptr<std::vector<StateId>> released;
  StateNumber(StateId number, std::shared_ptr<std::vector<StateId>> list) : id(number), released(std::move(list)) {}
  ~StateNumber() { released->push_back(id); }
};

}  // namespace

RankLeader::RankLeader(std::unique_ptr<Runner> own, RankGroup* ranks)
    : own_(std::move(own)), ranks_(ranks), released_(std::make_shared<std::vector<StateId>>()) {}

RankLeader::~RankLeader() {
  start(RankOrder::kLeave);
  if (const Status told = tell(); !told.ok()) log_debug("{}", told.error().to_string());
}

void RankLeader::start(RankOrder order) {
  message_.clear();
  message_.value(order);
}

StateId RankLeader::state_id(SequenceState* state) {
  if (state == nullptr) return kNoState;
  std::shared_ptr<void>& number = state->on_ranks();
  if (number == nullptr) number = std::make_shared<StateNumber>(++last_state_, released_);
  return static_cast<const StateNumber*>(number.get())->id;
}

Status RankLeader::launch(const Batch& batch, SelectionHook* hook) {
  states_.clear();
  for (const SequencePlan& plan : batch.plan.sequences) states_.push_back(state_id(plan.state));
  start(RankOrder::kStep);
  write_batch(batch, states_, *released_, &message_);
  released_->clear();
  VORTEX_RETURN_IF_ERROR(tell());
  return own_->launch(batch, hook);
}

/// A failure shows in the step that follows.
void RankLeader::fill_synthetic(std::span<const SlabId> table, int64_t count) {
  start(RankOrder::kSynthetic);
  message_.list(table);
  message_.value(count);
  if (tell().ok()) own_->fill_synthetic(table, count);
}

Status RankLeader::erase_elsewhere(SlabId slab) {
  start(RankOrder::kErase);
  message_.value(slab);
  return tell();
}

namespace {

Status run_step(Runner* own, MessageReader* from, ReceivedBatch* received) {
  VORTEX_RETURN_IF_ERROR(received->read(from, own->config().kv_heads));
  VORTEX_RETURN_IF_ERROR(own->launch(received->batch(), nullptr));
  const auto result = own->finish(nullptr);
  return result.ok() ? Status() : Status(result.error());
}

Status fill(Runner* own, MessageReader* from) {
  std::vector<SlabId> table;
  from->list(&table);
  const auto count = from->value<int64_t>();
  if (from->failed()) return Error{ErrorCode::kDataLoss, "rank 0", "its message is cut short", ""};
  own->fill_synthetic(table, count);
  return {};
}

}  // namespace

Status follow_rank_0(Runner* own, RankGroup* ranks, FunctionRef<Status(SlabId)> erase) {
  ReceivedBatch received;
  std::vector<std::byte> message;
  while (true) {
    VORTEX_RETURN_IF_ERROR(ranks->comm().broadcast(&message));
    MessageReader reader(message);
    switch (reader.value<RankOrder>()) {
      case RankOrder::kStep:
        VORTEX_RETURN_IF_ERROR(run_step(own, &reader, &received));
        break;
      case RankOrder::kSynthetic:
        VORTEX_RETURN_IF_ERROR(fill(own, &reader));
        break;
      case RankOrder::kErase:
        VORTEX_RETURN_IF_ERROR(erase(reader.value<SlabId>()));
        break;
      case RankOrder::kLeave:
        return {};
    }
  }
}

}  // namespace vortex::model

// What rank 0 launches is what the others run: steps, synthetic contexts, erased slabs, and the states of sequences.
#include "model/rank_leader.h"

#include <gtest/gtest.h>

#include <thread>

#include "comm/local_group.h"
#include "model/rank_group.h"

namespace vortex::model {
namespace {

/// Keeps what it was asked.
class RecordingRunner final : public Runner {
 public:
  explicit RecordingRunner(int kv_heads) { config_.kv_heads = kv_heads; }
  const ModelConfig& config() const override { return config_; }
  device::Device* device() override { return nullptr; }
  DType kv_dtype() const override { return DType::kF32; }
  int64_t page_memory(const RunnerLimits&, double) const override { return 0; }
  Status prepare(const RunnerLimits&, std::span<const PageView>, const Sparsity&) override { return {}; }
  int depth() const override { return 1; }
  bool draws_on_device() const override { return false; }
  Status launch(const Batch& batch, SelectionHook*) override {
    batches.push_back(batch);
    tables.clear();
    for (const attention::TokenSlice& slice : batch.slices) tables.emplace_back(slice.table.begin(), slice.table.end());
    std::vector<int64_t>& saved = saved_pages.emplace_back();
    for (const SequencePlan& plan : batch.plan.sequences) {
      saved.push_back(plan.state == nullptr ? -1 : plan.state->layer(0).saved_pages());
      if (plan.state == nullptr) continue;
      plan.state->layer(0).prepare({4}, 1, plan.pages);
      plan.state->layer(0).finish(plan.pages);
    }
    return {};
  }
  Result<const StepResult*> finish(float*) override { return &result_; }
  void fill_synthetic(std::span<const SlabId> table, int64_t count) override {
    filled.assign(table.begin(), table.end());
    filled_tokens = count;
  }

  std::vector<Batch> batches;  // their spans are void; `tables` are those of the last
  std::vector<std::vector<SlabId>> tables;
  std::vector<std::vector<int64_t>> saved_pages;  // by step and sequence: before the step; -1: no state
  std::vector<SlabId> filled;
  int64_t filled_tokens = 0;

 private:
  ModelConfig config_;
  StepResult result_;
};

class RankLeaderTest : public ::testing::Test {
 protected:
  RankLeaderTest() {
    for (int rank = 0; rank < 2; ++rank) {
      files_.push_back(ModelFiles::open_dummy(VORTEX_SOURCE_DIR "/models/configs/qwen3-0.6b").value());
      EXPECT_TRUE(files_.back()->split(rank, 2).ok());
      groups_.push_back(std::make_unique<RankGroup>(comms_[static_cast<size_t>(rank)].get(), *files_.back()));
    }
    leader_ = std::make_unique<RankLeader>(std::make_unique<RecordingRunner>(1), groups_[0].get());
    thread_ = std::thread([this] {
      ended_ = follow_rank_0(&follower_, groups_[1].get(), [this](SlabId slab) {
        erased_.push_back(slab);
        return Status();
      });
    });
  }

  /// Waits until the follower has done all that it was told.
  void leave() {
    leader_.reset();
    thread_.join();
    ASSERT_TRUE(ended_.ok()) << ended_.error().to_string();
  }

  void launch(const Batch& batch) { ASSERT_TRUE(leader_->launch(batch, nullptr).ok()); }

  std::vector<std::unique_ptr<comm::Communicator>> comms_ = comm::local_group(2);
  std::vector<std::unique_ptr<ModelFiles>> files_;
  std::vector<std::unique_ptr<RankGroup>> groups_;
  std::unique_ptr<RankLeader> leader_;
  RecordingRunner follower_{3};
  std::vector<SlabId> erased_;
  Status ended_;
  std::thread thread_;
};

Batch two_decodes_and_a_prompt(std::span<const SlabId> first, std::span<const SlabId> second) {
  Batch batch;
  batch.ids = {5, 6, 7, 8, 9};
  batch.positions = {40, 17, 0, 1, 2};
  batch.slices = {{first, 40, 1}, {second, 17, 1}, {second, 0, 3}};
  batch.decodes = 2;
  batch.plan = {.kv_heads = 1, .reserved_bos = 2, .reserved_eos = 3};
  batch.plan.sequences = {{first, 41, 3, 2, 2, 9}, {second, 18, 2, 9, 2, 2}};
  batch.logit_tokens = {0, 1, 4};
  batch.draws = {{.on_device = true, .temperature = 0.5f, .uniform = 0.25}, {}, {}};
  batch.draw_of = {1, -1, -1, -1, -1};
  return batch;
}

TEST_F(RankLeaderTest, AStepArrivesWhole) {
  const std::vector<SlabId> first = {4, 9, 2}, second = {7, 1};
  launch(two_decodes_and_a_prompt(first, second));
  leave();
  ASSERT_EQ(follower_.batches.size(), 1U);
  const Batch& got = follower_.batches[0];
  EXPECT_EQ(got.ids, (std::vector<int32_t>{5, 6, 7, 8, 9}));
  EXPECT_EQ(got.positions, (std::vector<int32_t>{40, 17, 0, 1, 2}));
  EXPECT_EQ(follower_.tables, (std::vector<std::vector<SlabId>>{first, second, second}));
  EXPECT_EQ(got.slices[2].first, 0);
  EXPECT_EQ(got.slices[2].count, 3);
  EXPECT_EQ(got.decodes, 2);
  EXPECT_EQ(got.plan.kv_heads, 3) << "those of the rank";
  EXPECT_EQ(got.plan.reserved_bos, 2);
  EXPECT_EQ(got.plan.reserved_eos, 3);
  EXPECT_EQ(got.plan.sequences[0].tokens, 41);
  EXPECT_EQ(got.plan.sequences[0].pages, 3);
  EXPECT_EQ(got.plan.sequences[0].selected, 2);
  EXPECT_EQ(got.plan.sequences[0].last_tokens, 9);
  EXPECT_EQ(got.plan.sequences[1].budget, 9);
  EXPECT_EQ(got.logit_tokens, (std::vector<int64_t>{0, 1, 4}));
  EXPECT_TRUE(got.draws[0].on_device);
  EXPECT_EQ(got.draws[0].uniform, 0.25);
  EXPECT_EQ(got.draw_of, (std::vector<int32_t>{1, -1, -1, -1, -1}));
}

TEST_F(RankLeaderTest, SyntheticContextsAndErasedSlabsArrive) {
  const std::vector<SlabId> table = {3, 8};
  leader_->fill_synthetic(table, 30);
  ASSERT_TRUE(leader_->erase_elsewhere(8).ok());
  ASSERT_TRUE(leader_->erase_elsewhere(3).ok());
  leave();
  EXPECT_EQ(follower_.filled, table);
  EXPECT_EQ(follower_.filled_tokens, 30);
  EXPECT_EQ(erased_, (std::vector<SlabId>{8, 3}));
}

/// A state lives on each rank as long as its sequence, and a new one in the same place begins empty.
TEST_F(RankLeaderTest, StatesFollowTheirSequences) {
  const std::vector<SlabId> first = {4, 9, 2}, second = {7, 1};
  Batch batch = two_decodes_and_a_prompt(first, second);
  auto state = std::make_unique<SequenceState>();
  SequenceState other;
  batch.plan.sequences[0].state = state.get();
  launch(batch);
  batch.plan.sequences[1].state = &other;
  launch(batch);
  state = std::make_unique<SequenceState>();
  batch.plan.sequences[0].state = state.get();
  launch(batch);
  leave();
  EXPECT_EQ(follower_.saved_pages, (std::vector<std::vector<int64_t>>{{0, -1}, {3, 0}, {0, 2}}));
}

TEST(StepMessageTest, WhatIsCutShortIsRefused) {
  const std::vector<SlabId> first = {4, 9, 2}, second = {7, 1};
  MessageWriter writer;
  const StateId states[] = {kNoState, 5};
  write_batch(two_decodes_and_a_prompt(first, second), states, {}, &writer);
  const std::vector<std::byte> whole = writer.bytes();
  for (size_t size = 0; size <= whole.size(); ++size) {
    MessageReader reader(std::span<const std::byte>(whole).first(size));
    ReceivedBatch received;
    EXPECT_EQ(received.read(&reader, 1).ok(), size == whole.size()) << size;
  }
}

}  // namespace
}  // namespace vortex::model

#include "model/moe_router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/testing/backends.h"
#include "model/moe_testing.h"

namespace vortex::model {
namespace {

using kernels::testing::random_activations;
using testing::TestWeights;
using Scoring = MoeConfig::Scoring;
using GroupScore = MoeConfig::GroupScore;

constexpr int kHidden = 24;

struct Routed {
  std::vector<int32_t> experts;
  std::vector<float> weights;
};

/// A router on the CPU kernels.
class Router {
 public:
  Router(const MoeConfig& moe, const TestWeights& weights, int hidden = kHidden) : weights_(weights.map()) {
    config_.hidden_size = hidden;
    config_.moe = moe;
    router_ = MoeRouter::load({&config_, &weights_, {ops_.get(), nullptr}}, "mlp.").value();
    EXPECT_TRUE(weights_.finish().ok());
  }

  Routed route(const std::vector<float>& h) {
    const auto tokens = static_cast<int64_t>(h.size()) / config_.hidden_size;
    const auto n = static_cast<size_t>(tokens * config_.moe.experts_per_token);
    Routed routed{std::vector<int32_t>(n, -1), std::vector<float>(n, NAN)};
    router_->route(&workspace_, h.data(), tokens, routed.experts.data(), routed.weights.data());
    return routed;
  }

 private:
  WorkerPool pool_{2};
  std::unique_ptr<kernels::DenseOps> ops_ = kernels::make_cpu_dense_ops(&pool_);
  WeightMap weights_;
  ModelConfig config_;
  Workspace workspace_;
  std::unique_ptr<MoeRouter> router_;
};

TestWeights random_router(const MoeConfig& moe, DType dtype = DType::kF32, int hidden = kHidden) {
  TestWeights weights;
  weights.add("mlp.gate.weight", dtype, {moe.experts, hidden});
  if (moe.router_bias) weights.add("mlp.gate.bias", DType::kF32, {moe.experts});
  if (moe.selection_bias) weights.add("mlp.gate.e_score_correction_bias", DType::kF32, {moe.experts});
  return weights;
}

void expect_as_in_double(const MoeConfig& moe, const std::string& what) {
  constexpr int kTokens = 40;
  const TestWeights weights = random_router(moe);
  const std::vector<float> h = random_activations(kTokens * kHidden, 7), gate = weights.values("mlp.gate.weight");
  const Routed routed = Router(moe, weights).route(h);
  for (int t = 0; t < kTokens; ++t) {
    std::vector<double> logits =
        testing::multiply(gate, std::vector<double>(h.begin() + t * kHidden, h.begin() + (t + 1) * kHidden));
    if (moe.router_bias)
      for (size_t e = 0; e < logits.size(); ++e) logits[e] += weights.values("mlp.gate.bias")[e];
    const auto want = testing::expected_routing(
        moe, logits, moe.selection_bias ? weights.values("mlp.gate.e_score_correction_bias") : std::vector<float>());
    auto slot = static_cast<size_t>(t * moe.experts_per_token);
    for (const auto& [expert, weight] : want) {
      ASSERT_EQ(routed.experts[slot], expert) << what << ", token " << t;
      ASSERT_NEAR(routed.weights[slot], weight, 2e-5 * std::fabs(weight) + 1e-9) << what << ", token " << t;
      ++slot;
    }
  }
}

TEST(MoeRouter, EveryModeIsAsInDouble) {
  for (const Scoring scoring : {Scoring::kSoftmax, Scoring::kSigmoid, Scoring::kTopKSoftmax})
    for (const bool selection_bias : {false, true})
      for (const bool router_bias : {false, true})
        for (const bool normalize : {false, true})
          for (const auto& [groups, top_groups] : {std::pair{1, 1}, {4, 2}, {4, 4}, {8, 3}})
            for (const GroupScore group_score : {GroupScore::kMax, GroupScore::kTop2Sum}) {
              const MoeConfig moe{.experts = 32,
                                  .experts_per_token = 6,
                                  .intermediate_size = 1,
                                  .scoring = scoring,
                                  .selection_bias = selection_bias,
                                  .router_bias = router_bias,
                                  .normalize = normalize,
                                  .normalize_epsilon = normalize ? 1e-3f : 0.0f,
                                  .routed_scale = 2.5f,
                                  .groups = groups,
                                  .top_groups = top_groups,
                                  .group_score = group_score};
              expect_as_in_double(moe, fmt::format("scoring {} biases {}{} normalize {} groups {}/{} by {}",
                                                   static_cast<int>(scoring), selection_bias, router_bias, normalize,
                                                   top_groups, groups, static_cast<int>(group_score)));
            }
}

/// The logits of one token are `logits` themselves.
TestWeights identity_router(int experts) {
  std::vector<float> identity(static_cast<size_t>(experts * experts));
  for (int e = 0; e < experts; ++e) identity[static_cast<size_t>(e * experts + e)] = 1.0f;
  TestWeights weights;
  weights.add_floats("mlp.gate.weight", identity, {experts, experts});
  return weights;
}

TEST(MoeRouter, EqualScoresPreferTheLowerExpert) {
  const MoeConfig moe{.experts = 5, .experts_per_token = 3, .scoring = Scoring::kTopKSoftmax};
  const Routed routed = Router(moe, identity_router(5), 5).route({1, 2, 1, 1, 2});
  EXPECT_THAT(routed.experts, ::testing::ElementsAre(0, 1, 4));
}

TEST(MoeRouter, EqualGroupsPreferTheLowerGroup) {
  const MoeConfig moe{.experts = 6, .experts_per_token = 2, .scoring = Scoring::kSigmoid, .groups = 3, .top_groups = 1};
  const Routed routed = Router(moe, identity_router(6), 6).route({-1, -1, 3, 1, 1, 3});
  EXPECT_THAT(routed.experts, ::testing::ElementsAre(2, 3));
}

TEST(MoeRouter, TheSelectionBiasChoosesAndDoesNotWeigh) {
  const MoeConfig moe{.experts = 4,
                      .experts_per_token = 2,
                      .scoring = Scoring::kSigmoid,
                      .selection_bias = true,
                      .normalize = true,
                      .routed_scale = 10.0f};
  TestWeights weights = identity_router(4);
  weights.add_floats("mlp.gate.e_score_correction_bias", {0, 0, 5, -5}, {4});
  const Routed routed = Router(moe, weights, 4).route({0, -1000, 0, 1000});
  EXPECT_THAT(routed.experts, ::testing::ElementsAre(0, 2));
  EXPECT_THAT(routed.weights, ::testing::ElementsAre(5.0f, 5.0f));
}

TEST(MoeRouter, GateWeightsInBlocksAreDecodedExactly) {
  const MoeConfig moe{.experts = 16, .experts_per_token = 4, .scoring = Scoring::kSigmoid};
  const TestWeights blocks = random_router(moe, DType::kQ8_0, 64);
  TestWeights floats;
  floats.add_floats("mlp.gate.weight", blocks.values("mlp.gate.weight"), {16, 64});
  const std::vector<float> h = random_activations(20 * 64, 3);
  const Routed a = Router(moe, blocks, 64).route(h), b = Router(moe, floats, 64).route(h);
  EXPECT_EQ(a.experts, b.experts);
  EXPECT_EQ(a.weights, b.weights);
}

TEST(MoeRouter, ANanTokenGetsDistinctExpertsAndNanWeights) {
  for (const Scoring scoring : {Scoring::kSoftmax, Scoring::kSigmoid, Scoring::kTopKSoftmax}) {
    const MoeConfig moe{.experts = 8, .experts_per_token = 3, .scoring = scoring, .groups = 4, .top_groups = 2};
    const Routed routed = Router(moe, identity_router(8), 8).route(std::vector<float>(8, NAN));
    EXPECT_THAT(routed.experts, ::testing::ElementsAre(0, 1, 2));
    for (const float weight : routed.weights) EXPECT_TRUE(std::isnan(weight));
  }
}

}  // namespace
}  // namespace vortex::model

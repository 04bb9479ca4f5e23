#include "model/moe_feed_forward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "kernels/testing/backends.h"
#include "model/moe_testing.h"

namespace vortex::model {
namespace {

using kernels::Gating;
using kernels::testing::Backend;
using kernels::testing::random_activations;
using testing::multiply;
using testing::TestWeights;

ModelConfig mixture(int hidden, int inner, int experts, int per_token) {
  ModelConfig config;
  config.hidden_size = hidden;
  config.moe.experts = experts;
  config.moe.experts_per_token = per_token;
  config.moe.intermediate_size = inner;
  config.moe.normalize = true;
  return config;
}

/// DeepSeek-V3's router with two shared experts, small.
ModelConfig deepseek() {
  ModelConfig config = mixture(32, 64, 16, 4);
  config.moe.shared_experts = 2;
  config.moe.scoring = MoeConfig::Scoring::kSigmoid;
  config.moe.selection_bias = true;
  config.moe.normalize_epsilon = 1e-20f;
  config.moe.routed_scale = 2.5f;
  config.moe.groups = 4;
  config.moe.top_groups = 2;
  return config;
}

ModelConfig gpt_oss() {
  ModelConfig config = mixture(32, 48, 8, 2);
  config.activation = Activation::kClampedSwiglu;
  config.moe.scoring = MoeConfig::Scoring::kTopKSoftmax;
  config.moe.router_bias = true;
  config.moe.expert_bias = true;
  config.moe.normalize = false;
  return config;
}

void add_network(TestWeights* weights, const std::string& prefix, DType dtype, int hidden, int inner, bool bias) {
  weights->add(prefix + "gate_proj.weight", dtype, {inner, hidden});
  weights->add(prefix + "up_proj.weight", dtype, {inner, hidden});
  weights->add(prefix + "down_proj.weight", dtype, {hidden, inner});
  if (!bias) return;
  weights->add(prefix + "gate_proj.bias", DType::kF32, {inner});
  weights->add(prefix + "up_proj.bias", DType::kF32, {inner});
  weights->add(prefix + "down_proj.bias", DType::kF32, {hidden});
}

TestWeights random_weights(const ModelConfig& config, DType dtype) {
  const MoeConfig& moe = config.moe;
  TestWeights weights;
  weights.add("mlp.gate.weight", DType::kF32, {moe.experts, config.hidden_size});
  if (moe.router_bias) weights.add("mlp.gate.bias", DType::kF32, {moe.experts});
  if (moe.selection_bias) weights.add("mlp.gate.e_score_correction_bias", DType::kF32, {moe.experts});
  for (int e = 0; e < moe.experts; ++e)
    add_network(&weights, fmt::format("mlp.experts.{}.", e), dtype, config.hidden_size, moe.intermediate_size,
                moe.expert_bias);
  if (moe.shared_experts > 0)
    add_network(&weights, "mlp.shared_experts.", dtype, config.hidden_size, moe.shared_experts * moe.intermediate_size,
                false);
  return weights;
}

/// A block on one implementation of the kernels; `weights` must outlive it.
class Block {
 public:
  Block(const Backend& backend, const ModelConfig& config, const TestWeights& weights)
      : instance_(backend), config_(config), weights_(weights.map()) {
    block_ = MoeFeedForward::load({&config_, &weights_, {instance_.ops.get(), nullptr}}, "mlp.").value();
    EXPECT_TRUE(weights_.finish().ok());
  }

  /// x + ffn(h).
  std::vector<float> run(const std::vector<float>& h, std::vector<float> x) {
    block_->forward(&workspace_, h.data(), static_cast<int64_t>(h.size()) / config_.hidden_size, x.data());
    return x;
  }

 private:
  kernels::testing::Instance instance_;
  ModelConfig config_;
  WeightMap weights_;
  Workspace workspace_;
  std::unique_ptr<FeedForward> block_;
};

double joined(Activation activation, double gate, double up) {
  if (activation == Activation::kSilu) return gate / (1.0 + std::exp(-gate)) * up;
  gate = std::min(gate, 7.0);
  return gate / (1.0 + std::exp(-1.702 * gate)) * (std::clamp(up, -7.0, 7.0) + 1.0);
}

void add_bias(const TestWeights& weights, const std::string& name, std::vector<double>* x) {
  if (!weights.contains(name)) return;
  const std::vector<float> bias = weights.values(name);
  for (size_t i = 0; i < bias.size(); ++i) (*x)[i] += bias[i];
}

std::vector<double> network(const ModelConfig& config, const TestWeights& weights, const std::string& prefix,
                            const std::vector<double>& h) {
  std::vector<double> gate = multiply(weights.values(prefix + "gate_proj.weight"), h);
  std::vector<double> up = multiply(weights.values(prefix + "up_proj.weight"), h);
  add_bias(weights, prefix + "gate_proj.bias", &gate);
  add_bias(weights, prefix + "up_proj.bias", &up);
  for (size_t i = 0; i < gate.size(); ++i) gate[i] = joined(config.activation, gate[i], up[i]);
  std::vector<double> out = multiply(weights.values(prefix + "down_proj.weight"), gate);
  add_bias(weights, prefix + "down_proj.bias", &out);
  return out;
}

/// x + ffn(h) of one token, expert after expert, in double.
std::vector<double> expected_token(const ModelConfig& config, const TestWeights& weights, const std::vector<double>& h,
                                   std::vector<double> x) {
  const MoeConfig& moe = config.moe;
  std::vector<double> logits = multiply(weights.values("mlp.gate.weight"), h);
  add_bias(weights, "mlp.gate.bias", &logits);
  std::vector<float> selection_bias;
  if (moe.selection_bias) selection_bias = weights.values("mlp.gate.e_score_correction_bias");
  for (const auto& [expert, weight] : testing::expected_routing(moe, logits, selection_bias)) {
    const std::vector<double> out = network(config, weights, fmt::format("mlp.experts.{}.", expert), h);
    for (size_t i = 0; i < x.size(); ++i) x[i] += weight * out[i];
  }
  if (moe.shared_experts == 0) return x;
  const std::vector<double> shared = network(config, weights, "mlp.shared_experts.", h);
  for (size_t i = 0; i < x.size(); ++i) x[i] += shared[i];
  return x;
}

class MoeFeedForwardTest : public ::testing::TestWithParam<Backend> {
 protected:
  /// `tolerance` is relative to the norm of a token's result.
  void expect_as_in_double(const ModelConfig& config, DType dtype, int tokens, double tolerance) {
    const TestWeights weights = random_weights(config, dtype);
    const auto hidden = static_cast<size_t>(config.hidden_size);
    const std::vector<float> h = random_activations(tokens * config.hidden_size, 5);
    const std::vector<float> x = random_activations(tokens * config.hidden_size, 6);
    const std::vector<float> got = Block(GetParam(), config, weights).run(h, x);
    for (size_t t = 0; t < static_cast<size_t>(tokens); ++t) {
      const auto token = [&](const std::vector<float>& all) {
        const float* first = &all[t * hidden];
        return std::vector<double>(first, first + hidden);
      };
      const std::vector<double> want = expected_token(config, weights, token(h), token(x));
      double error = 0.0, norm = 0.0;
      for (size_t i = 0; i < hidden; ++i) {
        error += std::pow(got[t * hidden + i] - want[i], 2);
        norm += want[i] * want[i];
      }
      ASSERT_LT(std::sqrt(error), tolerance * std::sqrt(norm)) << "token " << t << " of " << tokens;
    }
  }

  /// The CPU rounds activations to 8 bits of the largest of 32; a few of these are ten times the others.
  double block_tolerance() const { return GetParam().isa ? 0.08 : 1e-5; }
};

TEST_P(MoeFeedForwardTest, IsTheSumOfItsExpertsTokenByToken) {
  for (const int tokens : {1, 2, 3, 19}) {
    expect_as_in_double(mixture(32, 64, 8, 2), DType::kF32, tokens, 1e-5);
    expect_as_in_double(deepseek(), DType::kBF16, tokens, 1e-5);
    expect_as_in_double(gpt_oss(), DType::kF16, tokens, 1e-5);
  }
}

TEST_P(MoeFeedForwardTest, ExpertsMayBeInBlocks) {
  expect_as_in_double(mixture(256, 256, 6, 2), DType::kQ4_K, 7, block_tolerance());
  expect_as_in_double(deepseek(), DType::kQ8_0, 7, block_tolerance());
}

TEST_P(MoeFeedForwardTest, ATokenDoesNotDependOnItsBatch) {
  constexpr int kTokens = 37;
  for (const DType dtype : {DType::kF32, DType::kQ8_0}) {
    const ModelConfig config = deepseek();
    const TestWeights weights = random_weights(config, dtype);
    Block block(GetParam(), config, weights);
    const std::vector<float> h = random_activations(kTokens * config.hidden_size, 5), x(h.size(), 0.25f);
    const std::vector<float> all = block.run(h, x);
    for (const int count : {1, 2, 5}) {
      for (int first = 0; first + count <= kTokens; first += count) {
        const auto begin = first * config.hidden_size, end = (first + count) * config.hidden_size;
        const std::vector<float> part =
            block.run({h.begin() + begin, h.begin() + end}, {x.begin() + begin, x.begin() + end});
        ASSERT_TRUE(std::equal(part.begin(), part.end(), all.begin() + begin)) << count << " tokens from " << first;
      }
    }
    Block other({"", GetParam().isa, 3}, config, weights);
    EXPECT_EQ(other.run(h, x), all);
  }
}

TEST_P(MoeFeedForwardTest, ANanTokenLeavesTheOthersAlone) {
  const ModelConfig config = deepseek();
  const auto hidden = static_cast<size_t>(config.hidden_size);
  const TestWeights weights = random_weights(config, DType::kQ8_0);
  Block block(GetParam(), config, weights);
  std::vector<float> h = random_activations(3 * config.hidden_size, 5);
  const std::vector<float> x(h.size()), clean = block.run(h, x);
  std::fill_n(h.begin() + static_cast<int64_t>(hidden), hidden, NAN);
  const std::vector<float> got = block.run(h, x);
  for (size_t i = 0; i < got.size(); ++i) {
    if (i / hidden == 1)
      EXPECT_TRUE(std::isnan(got[i]));
    else
      EXPECT_EQ(got[i], clean[i]);
  }
}

/// The same experts stacked as Hugging Face's gpt-oss files have them.
TestWeights stacked(const ModelConfig& config, const TestWeights& single) {
  const MoeConfig& moe = config.moe;
  const auto hidden = static_cast<size_t>(config.hidden_size), inner = static_cast<size_t>(moe.intermediate_size);
  std::vector<float> gate_up, gate_up_bias, down, down_bias;
  for (int e = 0; e < moe.experts; ++e) {
    const std::string prefix = fmt::format("mlp.experts.{}.", e);
    const std::vector<float> gate = single.values(prefix + "gate_proj.weight");
    const std::vector<float> up = single.values(prefix + "up_proj.weight");
    const std::vector<float> out = single.values(prefix + "down_proj.weight");
    for (size_t h = 0; h < hidden; ++h)
      for (size_t i = 0; i < inner; ++i) gate_up.insert(gate_up.end(), {gate[i * hidden + h], up[i * hidden + h]});
    for (size_t i = 0; i < inner; ++i) {
      gate_up_bias.push_back(single.values(prefix + "gate_proj.bias")[i]);
      gate_up_bias.push_back(single.values(prefix + "up_proj.bias")[i]);
    }
    for (size_t i = 0; i < inner; ++i)
      for (size_t h = 0; h < hidden; ++h) down.push_back(out[h * inner + i]);
    for (const float bias : single.values(prefix + "down_proj.bias")) down_bias.push_back(bias);
  }
  TestWeights weights;
  weights.add_floats("mlp.gate.weight", single.values("mlp.gate.weight"), {moe.experts, config.hidden_size});
  weights.add_floats("mlp.gate.bias", single.values("mlp.gate.bias"), {moe.experts});
  weights.add_floats("mlp.experts.gate_up_proj", gate_up, {moe.experts, config.hidden_size, 2 * moe.intermediate_size});
  weights.add_floats("mlp.experts.gate_up_proj_bias", gate_up_bias, {moe.experts, 2 * moe.intermediate_size});
  weights.add_floats("mlp.experts.down_proj", down, {moe.experts, moe.intermediate_size, config.hidden_size});
  weights.add_floats("mlp.experts.down_proj_bias", down_bias, {moe.experts, config.hidden_size});
  return weights;
}

TEST_P(MoeFeedForwardTest, StackedExpertsAreTheSameExperts) {
  const ModelConfig config = gpt_oss();
  const TestWeights single = random_weights(config, DType::kF32);
  const std::vector<float> h = random_activations(9 * config.hidden_size, 5), x(h.size());
  EXPECT_EQ(Block(GetParam(), config, stacked(config, single)).run(h, x), Block(GetParam(), config, single).run(h, x));
}

INSTANTIATE_TEST_SUITE_P(Backends, MoeFeedForwardTest, ::testing::ValuesIn(kernels::testing::backends()),
                         [](const auto& backend) { return backend.param.name; });

/// Notes which matrices are read.
class WatchingOps final : public kernels::DenseOps {
 public:
  Result<std::unique_ptr<kernels::Matrix>> prepare(const TensorView& weight) override { return ops_->prepare(weight); }
  Result<std::unique_ptr<kernels::Matrix>> prepare_owned(const TensorView& weight,
                                                         std::unique_ptr<std::byte[]> memory) override {
    return ops_->prepare_owned(weight, std::move(memory));
  }
  using DenseOps::matmul;
  void matmul(std::span<const kernels::ProductGroup> groups) override {
    ++calls;
    for (const kernels::ProductGroup& group : groups)
      for (const kernels::Product& product : group.products) {
        EXPECT_TRUE(read.insert(product.weight).second) << "a matrix is read twice";
      }
    ops_->matmul(groups);
  }
  void embed(const TensorView&, std::span<const int32_t>, float*) override { ADD_FAILURE(); }
  void rms_norm(const float*, int64_t, const float*, float, int64_t, int64_t, float*) override { ADD_FAILURE(); }
  void add_weighted_rows(const float* x, int64_t cols, const int64_t* rows, const float* weights, int64_t tokens,
                         int per_token, float* out) override {
    ops_->add_weighted_rows(x, cols, rows, weights, tokens, per_token, out);
  }
  void rope(float*, int64_t, int64_t, int, int, const kernels::RopeAngles&) override { ADD_FAILURE(); }
  void gate_mul(Gating gating, const float* gate, const float* up, int64_t n, float* out) override {
    gated += n;
    ops_->gate_mul(gating, gate, up, n, out);
  }

  int calls = 0;
  int64_t gated = 0;
  std::set<const kernels::Matrix*> read;

 private:
  std::unique_ptr<kernels::DenseOps> ops_ = kernels::make_ref_dense_ops();
};

TEST(MoeFeedForwardWork, IdleExpertsAreNotReadAndBusyOnesOnce) {
  const ModelConfig config = mixture(16, 8, 32, 2);
  const TestWeights weights = random_weights(config, DType::kF32);
  WatchingOps ops;
  WeightMap map = weights.map();
  const auto block = MoeFeedForward::load({&config, &map, {&ops, nullptr}}, "mlp.").value();
  Workspace workspace;
  const std::vector<float> h = random_activations(3 * 16, 5);
  std::vector<float> x(h.size());
  block->forward(&workspace, h.data(), 3, x.data());
  std::set<int> busy;
  for (int t = 0; t < 3; ++t) {
    const std::vector<double> token(h.begin() + t * 16, h.begin() + (t + 1) * 16);
    for (const auto& [expert, weight] :
         testing::expected_routing(config.moe, multiply(weights.values("mlp.gate.weight"), token), {}))
      busy.insert(expert);
  }
  EXPECT_EQ(ops.calls, 3);  // router, gate and up, down
  EXPECT_EQ(ops.read.size(), 1 + 3 * busy.size());
  EXPECT_EQ(ops.gated, 3 * 2 * 8);
  block->forward(&workspace, h.data(), 0, x.data());
  EXPECT_EQ(ops.calls, 3);
}

TEST(MoeFeedForwardLoad, NamesTheTensorThatIsMissing) {
  const ModelConfig config = mixture(16, 8, 4, 2);
  TestWeights weights;
  weights.add("mlp.gate.weight", DType::kF32, {4, 16});
  add_network(&weights, "mlp.experts.0.", DType::kF32, 16, 8, false);
  WeightMap map = weights.map();
  const auto ops = kernels::make_ref_dense_ops();
  const auto result = MoeFeedForward::load({&config, &map, {ops.get(), nullptr}}, "mlp.");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(result.error().to_string(), ::testing::HasSubstr("mlp.experts.1.gate_proj.weight"));
}

}  // namespace
}  // namespace vortex::model

// Against plain loops; the router's rules are those of model/moe_router.cc, written again by sorting.
#include "kernels/cuda/moe.h"

#include <algorithm>
#include <numeric>

#include "kernels/cuda/cuda_testing.h"
#include "kernels/cuda/moe_parts.h"

namespace vortex::cuda {
namespace {

using namespace testing;
using MoeTest = GpuTest;
using Floats = std::vector<float>;
using Scoring = RouterShape::Scoring;

struct Choice {
  std::vector<int32_t> experts;
  std::vector<double> weights;
};

/// The `count` best of `values`, the lower of equal ones first.
std::vector<int32_t> best_of(const std::vector<double>& values, int count) {
  std::vector<int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(
      order, [&](int32_t a, int32_t b) { return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)]; });
  order.resize(static_cast<size_t>(count));
  return order;
}

std::vector<double> softmax(std::vector<double> x) {
  const double largest = *std::ranges::max_element(x);
  double sum = 0;
  for (double& value : x) sum += value = std::exp(value - largest);
  for (double& value : x) value /= sum;
  return x;
}

void exclude_groups(const RouterShape& shape, std::vector<double>* choice) {
  const auto size = choice->size() / static_cast<size_t>(shape.groups);
  std::vector<double> scores;
  for (size_t g = 0; g < static_cast<size_t>(shape.groups); ++g) {
    Floats group(choice->begin() + static_cast<int64_t>(g * size),
                 choice->begin() + static_cast<int64_t>((g + 1) * size));
    std::ranges::sort(group, std::greater<>());
    scores.push_back(shape.group_score == RouterShape::GroupScore::kMax ? group[0] : double{group[0]} + group[1]);
  }
  const std::vector<int32_t> taken = best_of(scores, shape.top_groups);
  for (size_t e = 0; e < choice->size(); ++e)
    if (std::ranges::find(taken, static_cast<int32_t>(e / size)) == taken.end()) (*choice)[e] = -1e30;
}

Choice choose(const RouterShape& shape, const std::vector<double>& logits, const Floats& selection_bias) {
  std::vector<double> scores = logits;
  if (shape.scoring == Scoring::kSoftmax) scores = softmax(scores);
  if (shape.scoring == Scoring::kSigmoid)
    for (double& score : scores) score = 1 / (1 + std::exp(-score));
  std::vector<double> choice = scores;
  for (size_t e = 0; e < selection_bias.size(); ++e) choice[e] += selection_bias[e];
  if (shape.top_groups < shape.groups) exclude_groups(shape, &choice);
  Choice out{best_of(choice, shape.per_token), {}};
  std::ranges::sort(out.experts);
  const bool by_logits = shape.scoring == Scoring::kTopKSoftmax;
  for (const int32_t e : out.experts) out.weights.push_back((by_logits ? logits : scores)[static_cast<size_t>(e)]);
  if (by_logits) out.weights = softmax(out.weights);
  const double sum = std::accumulate(out.weights.begin(), out.weights.end(), double{shape.normalize_epsilon});
  for (double& weight : out.weights) weight = (shape.normalize ? weight / sum : weight) * shape.routed_scale;
  return out;
}

double dot(const Floats& a, int64_t first_a, const Floats& b, int64_t first_b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += double{a[static_cast<size_t>(first_a + i)]} * b[static_cast<size_t>(first_b + i)];
  return sum;
}

struct Sizes {
  int64_t tokens, hidden, inner;
  kernels::Gating gating = kernels::Gating::kSilu;
  bool biases = false;
};

/// One layer with random weights, on the device and by loops.
class Layer {
 public:
  Layer(const RouterShape& shape, const Sizes& sizes) : shape_(shape), s_(sizes) {}

  std::vector<float> run(cudaStream_t stream) {
    const auto router = upload(router_), x_float = upload(x_), out = upload(before_);
    const auto gate_up_bias = upload(gate_up_bias_), down_bias = upload(down_bias_);
    const auto logit_bias = upload(logit_bias_), selection_bias = upload(selection_bias_);
    const auto x = upload_bf16(x_), gate_up = upload_bf16(gate_up_), down = upload_bf16(down_);
    ExpertWeights weights{gate_up.data(), down.data(), nullptr, nullptr, s_.hidden, s_.inner, s_.gating};
    RouterShape shape = shape_;
    if (s_.biases) {
      weights.gate_up_bias = gate_up_bias.data(), weights.down_bias = down_bias.data();
      shape.logit_bias = logit_bias.data(), shape.selection_bias = selection_bias.data();
    }
    MoeScratch scratch(s_.tokens, shape.experts, shape.per_token, s_.hidden, s_.inner);
    scratch.run(shape, router.data(), weights, x.data(), x_float.data(), s_.tokens, out.data(), stream);
    return download(out);
  }

  std::vector<float> expected() const {
    std::vector<float> out = before_;
    for (int64_t t = 0; t < s_.tokens; ++t) {
      std::vector<double> logits;
      for (int64_t e = 0; e < experts_; ++e)
        logits.push_back(dot(router_, e * s_.hidden, x_, t * s_.hidden, s_.hidden) +
                         (s_.biases ? logit_bias_[static_cast<size_t>(e)] : 0.0f));
      const Choice choice = choose(shape_, logits, s_.biases ? selection_bias_ : Floats());
      for (size_t i = 0; i < choice.experts.size(); ++i) add_expert(t, choice.experts[i], choice.weights[i], &out);
    }
    return out;
  }

 private:
  void add_expert(int64_t t, int64_t e, double weight, std::vector<float>* out) const {
    const auto unit = [&](int64_t row) {
      return static_cast<float>(dot(gate_up_, (e * 2 * s_.inner + row) * s_.hidden, x_, t * s_.hidden, s_.hidden) +
                                (s_.biases ? gate_up_bias_[static_cast<size_t>(e * 2 * s_.inner + row)] : 0.0f));
    };
    Floats gate, up;
    for (int64_t i = 0; i < s_.inner; ++i) gate.push_back(unit(i)), up.push_back(unit(s_.inner + i));
    kernels::make_ref_dense_ops()->gate_mul(s_.gating, gate.data(), up.data(), s_.inner, gate.data());
    for (int64_t c = 0; c < s_.hidden; ++c) {
      const double bias = s_.biases ? down_bias_[static_cast<size_t>(e * s_.hidden + c)] : 0.0f;
      (*out)[static_cast<size_t>(t * s_.hidden + c)] +=
          static_cast<float>(weight * (dot(down_, (e * s_.hidden + c) * s_.inner, gate, 0, s_.inner) + bias));
    }
  }

  RouterShape shape_;
  Sizes s_;
  int64_t experts_ = shape_.experts;
  Floats router_ = random_floats(experts_ * s_.hidden, 1, 0.3f), x_ = random_rounded(s_.tokens * s_.hidden, 2),
         before_ = random_floats(s_.tokens * s_.hidden, 3),
         gate_up_ = random_rounded(experts_ * 2 * s_.inner * s_.hidden, 4, 0.1f),
         down_ = random_rounded(experts_ * s_.hidden * s_.inner, 5, 0.1f),
         gate_up_bias_ = random_floats(experts_ * 2 * s_.inner, 6), down_bias_ = random_floats(experts_ * s_.hidden, 7),
         logit_bias_ = random_floats(experts_, 8), selection_bias_ = random_floats(experts_, 9, 0.2f);
};

void expect_layer(const RouterShape& shape, const Sizes& sizes, cudaStream_t stream) {
  Layer layer(shape, sizes);
  const std::vector<float> got = layer.run(stream);
  expect_close(got, layer.expected(), 0.03f, 0.01f);
  EXPECT_EQ(layer.run(stream), got);
}

TEST_F(MoeTest, Softmax) {
  expect_layer({.experts = 16, .per_token = 4, .normalize = true}, {.tokens = 9, .hidden = 128, .inner = 64}, stream());
  expect_layer({.experts = 64, .per_token = 8}, {.tokens = 33, .hidden = 64, .inner = 32}, stream());
}

TEST_F(MoeTest, ManyTokensAnExpert) {
  expect_layer({.experts = 4, .per_token = 2, .normalize = true}, {.tokens = 200, .hidden = 192, .inner = 96},
               stream());
}

TEST_F(MoeTest, SizesThatFillNoTile) {
  expect_layer({.experts = 5, .per_token = 3}, {.tokens = 7, .hidden = 72, .inner = 40}, stream());
  expect_layer({.experts = 3, .per_token = 2}, {.tokens = 90, .hidden = 72, .inner = 200}, stream());
}

TEST_F(MoeTest, GroupsSigmoidAndScale) {
  RouterShape shape{.experts = 32, .per_token = 6, .scoring = Scoring::kSigmoid, .normalize = true};
  shape.normalize_epsilon = 1e-20f, shape.routed_scale = 2.5f, shape.groups = 8, shape.top_groups = 4;
  const Sizes sizes{.tokens = 12, .hidden = 64, .inner = 32, .biases = true};
  expect_layer(shape, sizes, stream());
  shape.group_score = RouterShape::GroupScore::kMax;
  expect_layer(shape, sizes, stream());
}

TEST_F(MoeTest, SoftmaxOfTheChosenWithBiases) {
  expect_layer({.experts = 32, .per_token = 4, .scoring = Scoring::kTopKSoftmax},
               {.tokens = 20, .hidden = 96, .inner = 48, .gating = kernels::Gating::kClampedSwiglu, .biases = true},
               stream());
}

TEST_F(MoeTest, EqualScoresPreferTheLowerExpert) {
  const auto logits = upload(Floats{1, 3, 3, 3, 0, 3, 3, 2});
  const DeviceArray<int32_t> experts(3);
  const DeviceArray<float> weights(3);
  choose_experts({.experts = 8, .per_token = 3}, logits.data(), 1, {experts.data(), weights.data()}, stream());
  EXPECT_EQ(download(experts), (std::vector<int32_t>{1, 2, 3}));
}

}  // namespace
}  // namespace vortex::cuda

// For tests of mixtures: weights that a test made, and the router as the papers write it, in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/testing/random_weights.h"
#include "model/layers.h"
#include "tensor/quant_blocks.h"

namespace vortex::model::testing {

/// A WeightMap and the memory of its tensors.
class TestWeights {
 public:
  void add(const std::string& name, DType dtype, const Shape& shape) {
    const auto seed = static_cast<uint32_t>(std::hash<std::string>{}(name));
    sources_.push_back(kernels::testing::random_matrix(dtype, shape.elements() / shape[shape.rank() - 1],
                                                       shape[shape.rank() - 1], seed));
    put(name, {sources_.back().bytes.data(), dtype, shape});
  }
  void add_floats(const std::string& name, const std::vector<float>& values, const Shape& shape) {
    std::vector<std::byte> bytes(values.size() * sizeof(float));
    std::copy_n(reinterpret_cast<const std::byte*>(values.data()), bytes.size(), bytes.data());
    sources_.push_back({std::move(bytes), {}});
    put(name, {sources_.back().bytes.data(), DType::kF32, shape});
  }

  std::vector<float> values(const std::string& name) const {
    const TensorView& view = views_.at(name);
    std::vector<float> out(static_cast<size_t>(view.shape.elements()));
    dequantize(view.dtype, view.data, out.data(), view.shape.elements());
    return out;
  }
  bool contains(const std::string& name) const { return views_.contains(name); }

  /// All tensors, none of them taken.
  WeightMap map() const {
    WeightMap weights;
    weights.describe_as("test", false);
    for (const auto& [name, view] : views_) VORTEX_CHECK(weights.add(name, view).ok(), "{}", name);
    return weights;
  }

 private:
  void put(const std::string& name, const TensorView& view) { views_[name] = view; }

  std::deque<kernels::testing::RandomMatrix> sources_;
  std::map<std::string, TensorView> views_;
};

/// out[r] = sum_c matrix[r, c] * x[c], in double.
inline std::vector<double> multiply(const std::vector<float>& matrix, const std::vector<double>& x) {
  std::vector<double> out(matrix.size() / x.size());
  for (size_t r = 0; r < out.size(); ++r)
    for (size_t c = 0; c < x.size(); ++c) out[r] += double{matrix[r * x.size() + c]} * x[c];
  return out;
}

inline std::vector<double> softmax(std::vector<double> x) {
  const double largest = *std::max_element(x.begin(), x.end());
  double sum = 0.0;
  for (double& value : x) sum += value = std::exp(value - largest);
  for (double& value : x) value /= sum;
  return x;
}

/// The indices of the `count` largest, the lower first where they are equal.
inline std::vector<int> top(const std::vector<double>& values, int count) {
  std::vector<int> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)]; });
  order.resize(static_cast<size_t>(count));
  return order;
}

/// Expert to weight for one token.
inline std::map<int, double> expected_routing(const MoeConfig& config, const std::vector<double>& logits,
                                              const std::vector<float>& selection_bias) {
  using Scoring = MoeConfig::Scoring;
  std::vector<double> scores = logits;
  if (config.scoring == Scoring::kSoftmax) scores = softmax(logits);
  if (config.scoring == Scoring::kSigmoid)
    for (double& score : scores) score = 1.0 / (1.0 + std::exp(-score));
  std::vector<double> choice = scores;
  for (size_t e = 0; e < selection_bias.size(); ++e) choice[e] += selection_bias[e];
  const int size = config.experts / config.groups;
  std::vector<double> groups;
  for (int g = 0; g < config.groups; ++g) {
    std::vector<double> members(choice.begin() + g * size, choice.begin() + (g + 1) * size);
    std::sort(members.rbegin(), members.rend());
    groups.push_back(config.group_score == MoeConfig::GroupScore::kMax ? members[0] : members[0] + members[1]);
  }
  const std::vector<int> best_groups = top(groups, config.top_groups);
  for (int e = 0; e < config.experts; ++e)
    if (std::find(best_groups.begin(), best_groups.end(), e / size) == best_groups.end())
      choice[static_cast<size_t>(e)] = -std::numeric_limits<double>::infinity();
  const std::vector<int> experts = top(choice, config.experts_per_token);
  std::vector<double> weights;
  for (const int e : experts) weights.push_back(scores[static_cast<size_t>(e)]);
  if (config.scoring == Scoring::kTopKSoftmax) weights = softmax(weights);
  const double sum = std::accumulate(weights.begin(), weights.end(), double{config.normalize_epsilon});
  std::map<int, double> routing;
  for (size_t i = 0; i < experts.size(); ++i)
    routing[experts[i]] = (config.normalize ? weights[i] / sum : weights[i]) * config.routed_scale;
  return routing;
}

}  // namespace vortex::model::testing

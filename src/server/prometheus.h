// The text format that Prometheus reads, version 0.0.4.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vortex::server {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

/// Counts of values by upper bound.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  /// Of counts that somebody else keeps: one for each bound, then above.
  Histogram(std::vector<double> bounds, std::vector<int64_t> counts, double sum)
      : bounds_(std::move(bounds)), counts_(std::move(counts)), sum_(sum) {}

  void observe(double value);
  std::span<const double> bounds() const { return bounds_; }
  std::span<const int64_t> counts() const { return counts_; }
  double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<int64_t> counts_;  // not cumulative
  double sum_ = 0;
};

class PrometheusText {
 public:
  /// `common`: labels of every sample that is added with with_common.
  explicit PrometheusText(Labels common) : common_(std::move(common)) {}

  /// Starts a family; its samples follow. `type` is counter, gauge or histogram.
  void family(std::string_view name, std::string_view type, std::string_view help);
  /// Of the family last started.
  void sample(double value, const Labels& labels = {});
  void sample(const Histogram& histogram, const Labels& labels = {});
  /// A family of one sample.
  void single(std::string_view name, std::string_view type, std::string_view help, double value);

  std::string take() { return std::move(text_); }

 private:
  void line(std::string_view suffix, const Labels& labels, std::string_view value, std::string_view bound = {});

  Labels common_;
  std::string name_;
  std::string text_;
};

}  // namespace vortex::server

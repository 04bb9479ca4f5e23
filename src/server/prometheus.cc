#include "server/prometheus.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace vortex::server {
namespace {

std::string number_text(double value) {
  if (std::trunc(value) == value && std::abs(value) < 1e15) return fmt::format("{}", static_cast<int64_t>(value));
  return fmt::format("{}", value);
}

void append_escaped(std::string_view value, std::string* out) {
  for (const char c : value) {
    if (c == '\n') {
      *out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') *out += '\\';
    *out += c;
  }
}

}  // namespace

void Histogram::observe(double value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  ++counts_[static_cast<size_t>(bound - bounds_.begin())];
  sum_ += value;
}

void PrometheusText::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void PrometheusText::line(std::string_view suffix, const Labels& labels, std::string_view value,
                          std::string_view bound) {
  text_ += name_;
  text_ += suffix;
  char separator = '{';
  const auto add = [&](std::string_view key, std::string_view text) {
    text_ += std::exchange(separator, ',');
    text_ += key;
    text_ += "=\"";
    append_escaped(text, &text_);
    text_ += '"';
  };
  for (const auto& [key, text] : common_) add(key, text);
  for (const auto& [key, text] : labels) add(key, text);
  if (!bound.empty()) add("le", bound);
  if (separator == ',') text_ += '}';
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

void PrometheusText::sample(double value, const Labels& labels) { line("", labels, number_text(value)); }

void PrometheusText::sample(const Histogram& histogram, const Labels& labels) {
  int64_t total = 0;
  for (size_t i = 0; i < histogram.bounds().size(); ++i) {
    total += histogram.counts()[i];
    line("_bucket", labels, std::to_string(total), number_text(histogram.bounds()[i]));
  }
  total += histogram.counts().back();
  line("_bucket", labels, std::to_string(total), "+Inf");
  line("_sum", labels, number_text(histogram.sum()));
  line("_count", labels, std::to_string(total));
}

void PrometheusText::single(std::string_view name, std::string_view type, std::string_view help, double value) {
  family(name, type, help);
  sample(value);
}

}  // namespace vortex::server

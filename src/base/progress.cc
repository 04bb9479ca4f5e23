#include "base/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/terminal.h"

namespace vortex {
namespace {

constexpr auto kRedrawInterval = std::chrono::milliseconds(100);
constexpr int kMinBar = 5, kMaxBar = 40;

std::string duration(double seconds) {
  const auto total = static_cast<uint64_t>(std::clamp(seconds, 0.0, 359'999.0));
  if (total < 3600) return fmt::format("{}:{:02}", total / 60, total % 60);
  return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
}

double rate(const internal::ProgressView& view) {
  return view.elapsed_s > 0 ? static_cast<double>(view.done) / view.elapsed_s : 0;
}

double fraction(const internal::ProgressView& view) {
  return std::min(1.0, static_cast<double>(view.done) / static_cast<double>(view.total));
}

// "12/40 tok, 6 tok/s, ETA 0:04"
std::string numbers(const internal::ProgressView& view) {
  const double per_second = rate(view);
  const std::string speed = fmt::format("{}/s", internal::amount(per_second, view.unit));
  const auto done = static_cast<double>(view.done);
  if (view.total == 0) return fmt::format("{}, {}", internal::amount(done, view.unit), speed);
  const double left = static_cast<double>(view.total - std::min(view.done, view.total));
  return fmt::format("{}/{}, {}, ETA {}", internal::amount(done, view.unit),
                     internal::amount(static_cast<double>(view.total), view.unit), speed,
                     per_second > 0 ? duration(left / per_second) : "?");
}

std::string bar(double filled, int width) {
  const auto full = static_cast<std::size_t>(filled * width);
  return fmt::format("[{}{}]", std::string(full, '#'), std::string(static_cast<std::size_t>(width) - full, '.'));
}

}  // namespace

namespace internal {

std::string amount(double value, const std::string& unit) {
  if (unit != "B") {
    const bool small_share = value < 10 && value != std::floor(value);
    return fmt::format("{:.{}f} {}", value, small_share ? 1 : 0, unit);
  }
  static constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  std::size_t step = 0;
  while (value >= 1000 && step + 1 < std::size(kUnits)) value /= 1000, ++step;
  return step == 0 ? fmt::format("{:.0f} B", value) : fmt::format("{:.1f} {}", value, kUnits[step]);
}

std::string render_bar(const ProgressView& view, int columns) {
  const auto most = static_cast<std::size_t>(std::max(columns - 1, 1));
  std::string line = view.label + ' ';
  if (view.total > 0) line += fmt::format("{:3.0f}% ", fraction(view) * 100);
  const std::string tail = numbers(view);
  const int room = static_cast<int>(most) - static_cast<int>(line.size() + tail.size()) - 3;
  if (view.total > 0 && room >= kMinBar) line += bar(fraction(view), std::min(room, kMaxBar)) + ' ';
  return (line + tail).substr(0, most);
}

}  // namespace internal

Progress::Progress(std::string label, uint64_t total, std::string unit, bool quiet, std::FILE* out)
    : label_(std::move(label)),
      total_(total),
      unit_(std::move(unit)),
      quiet_(quiet),
      out_(out),
      terminal_(is_terminal(out)) {}

Progress::~Progress() {
  if (bar_shown_ && !finished_) std::fputc('\n', out_);
}

double Progress::elapsed_s() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

void Progress::update(uint64_t done) {
  done_ = done;
  if (quiet_ || finished_) return;
  terminal_ ? draw_bar() : print_tenth();
}

void Progress::draw_bar() {
  const auto now = Clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + kRedrawInterval;
  const std::string line = internal::render_bar({label_, done_, total_, unit_, elapsed_s()}, terminal_columns(out_));
  // "\x1b[K" clears what a longer line before this one left behind.
  fmt::print(out_, "\r{}\x1b[K", line);
  std::fflush(out_);
  bar_shown_ = true;
}

void Progress::print_tenth() {
  if (total_ == 0 || done_ >= total_) return;
  const auto tenths = static_cast<uint64_t>(static_cast<double>(done_) / static_cast<double>(total_) * 10);
  if (tenths <= tenths_printed_) return;
  tenths_printed_ = tenths;
  fmt::print(out_, "{}: {}% of {}\n", label_, tenths * 10, internal::amount(static_cast<double>(total_), unit_));
  std::fflush(out_);
}

void Progress::finish() {
  if (quiet_ || finished_) return;
  finished_ = true;
  const double seconds = elapsed_s();
  const auto done = static_cast<double>(std::max(done_, total_));
  fmt::print(out_, "{}{}: {} in {:.1f} s{}\n", terminal_ ? "\r" : "", label_, internal::amount(done, unit_), seconds,
             terminal_ ? "\x1b[K" : "");
  std::fflush(out_);
}

}  // namespace vortex

// Progress of a long job on stderr: a bar on a terminal, a line every 10 % elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace vortex {

/// Not thread-safe: one thread reports.
class Progress {
 public:
  /// `total` in `unit`s ("B" is shown as KB, MB, GB); 0 when it is not known. `quiet` writes nothing.
  Progress(std::string label, uint64_t total, std::string unit, bool quiet = false, std::FILE* out = stderr);
  /// Leaves the terminal on a fresh line when the job ended early.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` units so far. Cheap enough for each step: redraws at most ten times a second.
  void update(uint64_t done);

  /// The job is complete: says how much was done in what time.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  double elapsed_s() const;
  void draw_bar();
  void print_tenth();

  const std::string label_;
  const uint64_t total_;
  const std::string unit_;
  const bool quiet_;
  std::FILE* const out_;
  const bool terminal_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point next_draw_ = start_;
  uint64_t done_ = 0;
  uint64_t tenths_printed_ = 0;
  bool bar_shown_ = false;
  bool finished_ = false;
};

namespace internal {
struct ProgressView {
  std::string label;
  uint64_t done = 0;
  uint64_t total = 0;
  std::string unit;
  double elapsed_s = 0;
};
/// The bar's line, at most `columns` - 1 characters.
std::string render_bar(const ProgressView& view, int columns);
/// "12 tok", "1.5 MB".
std::string amount(double value, const std::string& unit);
}  // namespace internal
}  // namespace vortex

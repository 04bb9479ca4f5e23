// What a long prompt does to those who read along: the time between the tokens of several streams, alone and while a
// long prompt is prefilled beside them. Prints one JSON object.
//   fairness_bench MODEL [LONG_TOKENS] [STREAMS] [CONTEXT] [SLOWDOWN]
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "vortex/engine.h"

namespace {

using Clock = std::chrono::steady_clock;

/// When tokens came, by stream.
class Arrivals {
 public:
  explicit Arrivals(size_t streams) : last_(streams) {}

  void note(size_t stream) {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    if (last_[stream] != Clock::time_point())
      intervals_.push_back(std::chrono::duration<double>(now - last_[stream]).count());
    last_[stream] = now;
  }
  /// The stream begins anew: the time until its first token is not one between tokens.
  void begin(size_t stream) {
    const std::lock_guard lock(mutex_);
    last_[stream] = {};
  }
  std::vector<double> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(intervals_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Clock::time_point> last_;
  std::vector<double> intervals_;
};

double percentile_ms(std::vector<double> seconds, double p) {
  if (seconds.empty()) return 0;
  std::ranges::sort(seconds);
  return 1e3 * seconds[static_cast<size_t>(p * static_cast<double>(seconds.size() - 1))];
}

vortex::GenerateRequest request_of(int64_t tokens, int64_t answer, int32_t seed) {
  vortex::GenerateRequest request;
  for (int64_t i = 0; i < tokens; ++i)
    request.prompt.push_back(static_cast<int32_t>((i * 7919 + seed * 104729) % 3000 + 100));
  request.sampling.temperature = 0;
  request.sampling.ignore_eos = true;
  request.sampling.max_tokens = answer;
  return request;
}

/// Streams that never end: each answer of 256 tokens is followed by another to the same prompt, so that their contexts
/// are the same before and during the long prompt.
class Streams {
 public:
  Streams(vortex::Engine& engine, int64_t count, int64_t context)
      : engine_(engine), context_(context), arrivals(static_cast<size_t>(count)) {
    for (int64_t i = 0; i < count; ++i) start(static_cast<size_t>(i));
  }
  void stop() { stopping_ = true; }

 private:
  void start(size_t stream) {
    engine_.submit(request_of(context_, 256, static_cast<int32_t>(stream)),
                   [this, stream](const vortex::StreamEvent& e) {
                     if (e.token) arrivals.note(stream);
                     if (e.completion == nullptr || stopping_) return;
                     arrivals.begin(stream);
                     start(stream);
                   });
  }

  vortex::Engine& engine_;
  int64_t context_;
  std::atomic<bool> stopping_ = false;

 public:
  Arrivals arrivals;
};

int64_t argument(int argc, char** argv, int index, int64_t otherwise) {
  return argc > index ? std::atoll(argv[index]) : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int64_t long_tokens = argument(argc, argv, 2, 32'000), streams = argument(argc, argv, 3, 4);
  const int64_t context = argument(argc, argv, 4, 1'000);
  vortex::EngineOptions options;
  options.model = argv[1];
  options.max_num_seqs = streams + 1;
  if (argc > 5) options.long_prefill_slowdown = std::atof(argv[5]);
  auto engine = vortex::Engine::create(options);
  if (!engine.ok()) {
    fmt::print(stderr, "{}\n", engine.error().to_string());
    return 1;
  }
  Streams running(**engine, streams, context);
  while ((*engine)->stats().generation_tokens < streams * 300)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  running.arrivals.take();
  std::this_thread::sleep_for(std::chrono::seconds(4));
  const std::vector<double> before = running.arrivals.take();
  std::promise<vortex::Completion> done;
  (*engine)->submit(request_of(long_tokens, 1, 99), [&](const vortex::StreamEvent& e) {
    if (e.completion != nullptr) done.set_value(*e.completion);
  });
  const vortex::Completion prefilled = done.get_future().get();
  const std::vector<double> during = running.arrivals.take();
  running.stop();
  engine->reset();  // before what its callbacks use
  const double p99_before = percentile_ms(before, 0.99), p99_during = percentile_ms(during, 0.99);
  fmt::print(
      "{{\"long_tokens\": {}, \"streams\": {}, \"context\": {}, \"ttft_s\": {:.2f}, \"tokens_during\": {}, "
      "\"before_ms\": {{\"p50\": {:.2f}, \"p99\": {:.2f}}}, \"during_ms\": {{\"p50\": {:.2f}, \"p99\": {:.2f}}}, "
      "\"p99_ratio\": {:.3f}}}\n",
      long_tokens, streams, context, prefilled.timings.ttft_s, during.size(), percentile_ms(before, 0.5), p99_before,
      percentile_ms(during, 0.5), p99_during, p99_during / p99_before);
  return 0;
}

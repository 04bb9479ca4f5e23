#include "cli/streaming.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <future>
#include <optional>

#include "base/progress.h"

namespace vortex::cli {
namespace {

std::atomic<bool> interrupted{false};

/// Ctrl-C asks for the end; a second one kills the process as usual.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = false;
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &previous_);
  }
  ~InterruptGuard() { sigaction(SIGINT, &previous_, nullptr); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction previous_ = {};
};

/// Lives on the engine thread but for its construction.
class Printer {
 public:
  Printer(const StreamOptions& options, int64_t prompt_tokens)
      : options_(options),
        prompt_tokens_(prompt_tokens),
        bar_(std::in_place, "prefill", static_cast<uint64_t>(prompt_tokens), "tok", options.quiet) {}

  void on_event(const StreamEvent& event) {
    if (bar_) {
      bar_->update(static_cast<uint64_t>(event.prompt_done));
      if (event.prompt_done == prompt_tokens_) bar_->finish();
      if (event.prompt_done == prompt_tokens_ || event.completion != nullptr) bar_.reset();
    }
    if (!options_.print_text || event.text.empty()) return;
    std::fwrite(event.text.data(), 1, event.text.size(), stdout);
    std::fflush(stdout);
  }

 private:
  StreamOptions options_;
  int64_t prompt_tokens_;
  std::optional<Progress> bar_;
};

}  // namespace

Result<Completion> stream_completion(Engine& engine, GenerateRequest request, const StreamOptions& options) {
  const InterruptGuard guard;
  Printer printer(options, static_cast<int64_t>(request.prompt.size()));
  std::promise<Completion> promise;
  const uint64_t id = engine.submit(std::move(request), [&](const StreamEvent& event) {
    printer.on_event(event);
    if (event.completion != nullptr) promise.set_value(*event.completion);
  });
  std::future<Completion> done = promise.get_future();
  while (done.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready)
    if (interrupted) engine.cancel(id);
  Completion completion = done.get();
  if (options.print_text && !completion.error) std::fputc('\n', stdout);
  if (completion.error) return *completion.error;
  if (interrupted) return Error{ErrorCode::kCancelled, "", "interrupted", ""};
  return completion;
}

}  // namespace vortex::cli

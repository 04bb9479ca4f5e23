#include "eval/random_requests.h"

#include <chrono>
#include <future>

#include "sample/sampler.h"

namespace vortex::eval {
namespace {

constexpr int64_t kMostTokens = 1 << 24, kMostRequests = 1 << 16;
constexpr std::chrono::milliseconds kAskEvery(50);

GenerateRequest make_request(const EngineInfo& info, const RequestShape& shape, uint64_t number) {
  GenerateRequest request;
  sample::Random random(number);
  const auto vocab = static_cast<uint64_t>(info.config.vocab_size);
  for (int64_t i = 0; i < shape.input_len; ++i) request.prompt.push_back(static_cast<int32_t>(random.next() % vocab));
  request.sampling.temperature = 0.0;
  request.sampling.max_tokens = shape.output_len;
  request.sampling.ignore_eos = true;
  request.synthetic_context = shape.synthetic_context;
  return request;
}

}  // namespace

Status check(const RequestShape& shape, int64_t context, const char* where) {
  const auto fault = [&](std::string message, std::string hint) {
    return Error{ErrorCode::kInvalidArgument, where, std::move(message), std::move(hint)};
  };
  const auto within = [](int64_t value, int64_t most) { return value >= 1 && value <= most; };
  if (!within(shape.input_len, kMostTokens) || !within(shape.output_len, kMostTokens) ||
      !within(shape.count, kMostRequests))
    return fault(fmt::format("{} + {} tokens of {} sequences", shape.input_len, shape.output_len, shape.count),
                 fmt::format("give at least one of each, and at most {} sequences", kMostRequests));
  if (shape.input_len + shape.output_len > context)
    return fault(fmt::format("{} + {} tokens, the context holds {}", shape.input_len, shape.output_len, context),
                 "ask for fewer, or raise --max-model-len or --kv-cache-memory-bytes");
  return {};
}

/// Those of a batch that is stopped are waited for too, so that no callback outlives them.
Result<std::vector<Completion>> run_random_requests(Engine& engine, const RequestShape& shape, KeepGoing keep_going,
                                                    const char* where) {
  std::vector<std::promise<Completion>> promises(static_cast<size_t>(shape.count));
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < promises.size(); ++i) {
    ids.push_back(
        engine.submit(make_request(engine.info(), shape, i), [&promise = promises[i]](const StreamEvent& event) {
          if (event.completion != nullptr) promise.set_value(*event.completion);
        }));
  }
  bool stopped = false;
  std::vector<Completion> completions;
  for (auto& promise : promises) {
    auto future = promise.get_future();
    while (future.wait_for(kAskEvery) != std::future_status::ready) {
      if (stopped || keep_going()) continue;
      stopped = true;
      for (uint64_t id : ids) engine.cancel(id);
    }
    completions.push_back(future.get());
  }
  if (stopped) return Error{ErrorCode::kCancelled, where, "stopped", ""};
  for (const Completion& c : completions)
    if (c.error) return *c.error;
  return completions;
}

}  // namespace vortex::eval

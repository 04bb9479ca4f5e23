#include "server/metrics.h"

#include <algorithm>

namespace vortex::server {
namespace {

constexpr std::array<std::string_view, 4> kRefusals = {"overloaded", "draining", "engine_dead", "other"};

std::vector<double> ttft_bounds() {
  return {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560};
}

std::vector<double> inter_token_bounds() {
  return {.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80};
}

std::vector<double> latency_bounds() {
  return {.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
}

/// 1, 2, 5, 10 ... up to the context.
std::vector<double> token_bounds(int64_t most) {
  std::vector<double> bounds;
  for (int64_t power = 1; power <= most; power *= 10)
    for (const int64_t digit : {1, 2, 5})
      if (power * digit <= most) bounds.push_back(static_cast<double>(power * digit));
  return bounds;
}

}  // namespace

RequestMetrics::RequestMetrics(int64_t max_model_len)
    : ttft_(ttft_bounds()),
      inter_token_(inter_token_bounds()),
      e2e_(latency_bounds()),
      queue_(latency_bounds()),
      prefill_(latency_bounds()),
      decode_(latency_bounds()),
      inference_(latency_bounds()),
      prompt_tokens_(token_bounds(max_model_len)),
      generation_tokens_(token_bounds(max_model_len)),
      n_({1, 2, 5, 10, 20}),
      max_tokens_(token_bounds(max_model_len)) {}

void RequestMetrics::on_submitted(const GenerateRequest& request) {
  n_.observe(request.n);
  if (request.sampling.max_tokens > 0) max_tokens_.observe(static_cast<double>(request.sampling.max_tokens));
}

void RequestMetrics::on_answer(const Completion& completion, double seconds) {
  ++finished_[static_cast<size_t>(completion.finish_reason)];
  const bool done =
      completion.finish_reason == FinishReason::kStop || completion.finish_reason == FinishReason::kLength;
  if (done) observe_times(completion, seconds);
}

void RequestMetrics::observe_times(const Completion& c, double seconds) {
  constexpr double kWeight = 0.1;
  recent_seconds_ += kWeight * (seconds - recent_seconds_);
  ttft_.observe(c.timings.ttft_s);
  for (const double interval : c.timings.intervals_s) inter_token_.observe(interval);
  e2e_.observe(seconds);
  queue_.observe(c.timings.queue_s);
  prefill_.observe(c.timings.prefill_s);
  decode_.observe(c.timings.decode_s);
  inference_.observe(c.timings.prefill_s + c.timings.decode_s);
  prompt_tokens_.observe(static_cast<double>(c.usage.prompt_tokens));
  generation_tokens_.observe(static_cast<double>(c.usage.completion_tokens));
}

void RequestMetrics::on_refused(const std::string& code) {
  const auto it = std::find(kRefusals.begin(), kRefusals.end(), code);
  ++refused_[static_cast<size_t>(std::min(it, kRefusals.end() - 1) - kRefusals.begin())];
}

void RequestMetrics::write(PrometheusText* out) const {
  out->family("vllm:request_success_total", "counter", "Answers by how they ended.");
  for (size_t i = 0; i < finished_.size(); ++i)
    out->sample(static_cast<double>(finished_[i]),
                {{"finished_reason", std::string(finish_reason_name(static_cast<FinishReason>(i)))}});
  out->family("vllm:admission_rejections_total", "counter", "Requests that were not begun, by reason.");
  for (size_t i = 0; i < refused_.size(); ++i)
    out->sample(static_cast<double>(refused_[i]), {{"reason", std::string(kRefusals[i])}});
  out->single("vortex:unknown_fields_total", "counter", "Fields of requests that the API does not know.",
              static_cast<double>(unknown_fields_));
  const std::tuple<const char*, const char*, const Histogram*> histograms[] = {
      {"vllm:time_to_first_token_seconds", "From arrival to the first token.", &ttft_},
      {"vllm:inter_token_latency_seconds", "Between two tokens of an answer.", &inter_token_},
      {"vllm:e2e_request_latency_seconds", "From arrival to the last token.", &e2e_},
      {"vllm:request_queue_time_seconds", "From arrival to the first step.", &queue_},
      {"vllm:request_prefill_time_seconds", "From the first step to the first token.", &prefill_},
      {"vllm:request_decode_time_seconds", "From the first token to the last.", &decode_},
      {"vllm:request_inference_time_seconds", "From the first step to the last token.", &inference_},
      {"vllm:request_prompt_tokens", "Tokens of prompts.", &prompt_tokens_},
      {"vllm:request_generation_tokens", "Tokens of answers.", &generation_tokens_},
      {"vllm:request_params_n", "Answers asked for.", &n_},
      {"vllm:request_params_max_tokens", "Most tokens asked for.", &max_tokens_},
  };
  for (const auto& [name, help, histogram] : histograms) {
    out->family(name, "histogram", help);
    out->sample(*histogram);
  }
}

}  // namespace vortex::server

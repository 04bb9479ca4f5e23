// Metrics: what the API counts, and /metrics with the names, labels and buckets of vLLM.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "server/http/http_stats.h"
#include "server/prometheus.h"
#include "vortex/engine.h"

namespace vortex::server {

/// Of requests; on the network thread.
class RequestMetrics {
 public:
  explicit RequestMetrics(int64_t max_model_len);

  void on_submitted(const GenerateRequest& request);
  /// `seconds`: from arrival to now.
  void on_answer(const Completion& completion, double seconds);
  /// `code`: of the answer's body.
  void on_refused(const std::string& code);
  void on_unknown_fields(int64_t fields) { unknown_fields_ += fields; }

  /// Mean of the last answers, roughly; for Retry-After.
  double recent_seconds() const { return recent_seconds_; }

  void write(PrometheusText* out) const;

 private:
  void observe_times(const Completion& completion, double seconds);

  std::array<int64_t, 4> finished_ = {};  // by FinishReason
  std::array<int64_t, 4> refused_ = {};   // by kRefusals
  int64_t unknown_fields_ = 0;
  double recent_seconds_ = 0;
  Histogram ttft_, inter_token_, e2e_, queue_, prefill_, decode_, inference_;
  Histogram prompt_tokens_, generation_tokens_, n_, max_tokens_;
};

/// The whole page. `model_name` is the label of every sample about the model.
std::string metrics_page(const std::string& model_name, const EngineStats& engine, const EngineInfo& info,
                         const RequestMetrics& requests, const HttpStats& http);

}  // namespace vortex::server

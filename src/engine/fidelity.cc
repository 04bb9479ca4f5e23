#include "engine/fidelity.h"

#include <algorithm>
#include <cmath>

#include "engine/selection_controls.h"
#include "sample/sampler.h"

namespace vortex {
namespace {

constexpr int64_t kMaxReferenceBytes = int64_t{2} << 30;

double log_sum_exp(std::span<const float> logits) {
  const double peak = *std::ranges::max_element(logits);
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit - peak);
  return peak + std::log(sum);
}

/// KL(p || q) of two softmaxes, in nats.
double kl_divergence(std::span<const float> p, std::span<const float> q) {
  const double p_total = log_sum_exp(p), q_total = log_sum_exp(q);
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double log_p = p[i] - p_total;
    sum += std::exp(log_p) * (log_p - (q[i] - q_total));
  }
  return sum;
}

/// One run over the tail. The dense run keeps its logits; the others are held against them.
class TailRun {
 public:
  TailRun(std::span<const int32_t> tail, std::vector<float>* reference, bool dense)
      : tail_(tail), reference_(reference), dense_(dense) {}

  void add(size_t step, std::span<const float> logits) {
    if (dense_) reference_->insert(reference_->end(), logits.begin(), logits.end());
    const auto reference = std::span(*reference_).subspan(step * logits.size(), logits.size());
    if (!dense_) kl_ += kl_divergence(reference, logits);
    agreed_ += sample::argmax(reference) == sample::argmax(logits);
    if (step + 1 < tail_.size())
      surprise_ += log_sum_exp(logits) - double{logits[static_cast<size_t>(tail_[step + 1])]};
  }

  void finish(Fidelity* out) const {
    const auto steps = static_cast<double>(tail_.size());
    out->kl = kl_ / steps;
    out->top_agreement = agreed_ / steps;
    out->perplexity = std::exp(surprise_ / (steps - 1));
  }

 private:
  std::span<const int32_t> tail_;
  std::vector<float>* reference_;
  bool dense_;
  double kl_ = 0, agreed_ = 0, surprise_ = 0;
};

Result<Fidelity> run_tail(FlowLab& lab, size_t variant, std::span<const int32_t> tail, std::vector<float>* reference,
                          int64_t done, FlowLab::OnProgress on_progress) {
  Fidelity fidelity;
  MassMeter meter(lab.config().layers, lab.pool());
  TailRun run(tail, reference, !lab.variants()[variant].config);
  lab.start(variant, &meter);
  for (size_t i = 0; i < tail.size(); ++i) {
    VORTEX_ASSIGN_OR_RETURN(const std::span<const float> logits, lab.step(tail[i]));
    run.add(i, logits);
    if (!on_progress(done + static_cast<int64_t>(i) + 1))
      return Error{ErrorCode::kCancelled, "fidelity", "stopped", ""};
  }
  run.finish(&fidelity);
  fidelity.mass = meter.by_layer();
  fidelity.reads = lab.reads();
  return fidelity;
}

}  // namespace

double Fidelity::mean_mass() const {
  const std::vector<int>& layers = reads.sparsity.layers_sparse;
  if (layers.empty()) return 1.0;
  double sum = 0;
  for (int layer : layers) sum += mass[static_cast<size_t>(layer)];
  return sum / static_cast<double>(layers.size());
}

Result<std::vector<Fidelity>> measure_fidelity(FlowLab& lab, std::span<const int32_t> tokens, int64_t tail,
                                               FlowLab::OnProgress on_progress) {
  const auto total = static_cast<int64_t>(tokens.size());
  if (tail < 2 || tail >= total)
    return Error{ErrorCode::kInvalidArgument, "fidelity",
                 fmt::format("a tail of {} tokens of a text of {}", tail, total), "give 2 to one less than the text"};
  if (tail > kMaxReferenceBytes / 4 / lab.config().vocab_size)
    return Error{ErrorCode::kInvalidArgument, "fidelity",
                 fmt::format("the distributions of {} steps do not fit 2 GiB", tail), "give a shorter tail"};
  const auto variants = lab.variants();
  const auto dense = static_cast<size_t>(std::ranges::find_if(variants, [](const LabVariant& v) { return !v.config; }) -
                                         variants.begin());
  VORTEX_CHECK(dense < variants.size(), "a dense variant is what the others are held against");
  const int64_t prompt = total - tail;
  VORTEX_RETURN_IF_ERROR(lab.reserve(total, 0));
  VORTEX_RETURN_IF_ERROR(lab.prefill(tokens.first(static_cast<size_t>(prompt)), on_progress));
  const auto forced = tokens.last(static_cast<size_t>(tail));
  std::vector<float> reference;
  std::vector<Fidelity> out(variants.size());
  int64_t done = prompt;
  VORTEX_ASSIGN_OR_RETURN(out[dense], run_tail(lab, dense, forced, &reference, done, on_progress));
  for (size_t i = 0; i < variants.size(); ++i) {
    if (i == dense) continue;
    done += tail;
    VORTEX_ASSIGN_OR_RETURN(out[i], run_tail(lab, i, forced, &reference, done, on_progress));
  }
  return out;
}

}  // namespace vortex

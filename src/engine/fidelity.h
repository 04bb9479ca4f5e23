// Fidelity: how close decoding under a flow stays to dense decoding, on any text: no questions are needed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/flow_lab.h"

namespace vortex {

/// The tail of a text, teacher-forced: each step is given the text's own token, whatever the model would have said.
struct Fidelity {
  double kl = 0;             // mean over steps of KL(dense || variant) of the next token's distribution, nats
  double perplexity = 0;     // of the text's own next tokens
  double top_agreement = 0;  // share of steps whose most likely token is dense's
  std::vector<double> mass;  // by layer: dense attention probability on the pages read, mean over rows and steps
  LabReads reads;

  /// Over sparse layers; 1 when there are none.
  double mean_mass() const;
};

/// Prefills all but the last `tail` of `tokens` and decodes those under every variant of the lab, one of which must be
/// dense; by variant. Errors: those of FlowLab; kInvalidArgument when `tail` is below 2 or leaves no prompt, or when
/// the dense distributions do not fit 2 GiB. `on_progress` counts tokens, decoded ones once a variant.
Result<std::vector<Fidelity>> measure_fidelity(FlowLab& lab, std::span<const int32_t> tokens, int64_t tail,
                                               FlowLab::OnProgress on_progress);

}  // namespace vortex

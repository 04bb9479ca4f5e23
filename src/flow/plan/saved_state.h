// Where backends find what a flow's Save keeps (tensor/sequence_state.h).
#pragma once

#include "flow/plan/plan.h"
#include "tensor/sequence_state.h"

namespace vortex::flow {

/// The layer's part of the sequence's state, with room for the pages this step scores. The plan saves.
SequenceState::Layer* prepare_saved(const Plan& plan, const PageView& view, const StepPlan& step,
                                    const SequencePlan& sequence);

}  // namespace vortex::flow

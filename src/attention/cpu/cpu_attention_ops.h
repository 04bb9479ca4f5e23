// The vectorised operator with a chosen instruction set, for tests and benchmarks.
#pragma once

#include "attention/attention.h"
#include "base/cpu_features.h"

namespace vortex::attention {

/// As make_cpu_attention_ops(pool); this machine must have `isa`.
std::unique_ptr<AttentionOps> make_cpu_attention_ops(WorkerPool* pool, Isa isa);

}  // namespace vortex::attention

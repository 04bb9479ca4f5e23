// The CPU backend with a chosen instruction set, for tests and benchmarks; others call make_cpu_dense_ops(pool).
#pragma once

#include <memory>

#include "base/cpu_features.h"
#include "base/worker_pool.h"
#include "kernels/dense_ops.h"

namespace vortex::kernels {

/// `isa` is a level this processor has.
std::unique_ptr<DenseOps> make_cpu_dense_ops(WorkerPool* pool, Isa isa);

}  // namespace vortex::kernels

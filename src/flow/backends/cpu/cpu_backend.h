// The CPU backend: a plan as loops over tiles of pages, on the widest vectors this machine has.
#pragma once

#include <memory>

#include "base/result.h"
#include "flow/plan/backend.h"

namespace vortex::flow {

/// `plan` and `pool` must outlive the backend. Error: VORTEX_ISA names an instruction set this machine lacks.
Result<std::unique_ptr<Backend>> make_cpu_backend(const Plan& plan, WorkerPool* pool);

}  // namespace vortex::flow

// The reference backend.
#pragma once

#include <memory>

#include "flow/plan/backend.h"

namespace vortex::flow {

/// `plan` must outlive the backend.
std::unique_ptr<Backend> make_interpreter(const Plan& plan);

}  // namespace vortex::flow

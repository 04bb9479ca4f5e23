// A schedule_policy as text: what is looked at before a compiler sees it, and the function it becomes.
#pragma once

#include <string>

#include "base/result.h"

namespace vortex {

/// What the compiler and these checks call the text in errors: "schedule_policy:2:7".
inline constexpr const char* kPolicyName = "schedule_policy";

/// Refuses what cannot be the body of a function: nothing, unbalanced braces, a comment or string without end, lines
/// for the preprocessor other than #pragma. kConfiguration with line and column. This catches slips; it is no sandbox.
Status check_policy_text(const std::string& text);

/// C++ with the body in a function `vortex_schedule_policy`, the names of CUDA device code around it.
std::string policy_source(const std::string& text);

}  // namespace vortex

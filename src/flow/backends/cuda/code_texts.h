// The device code that every flow's source holds, as text.
#pragma once

#include <string_view>

namespace vortex::flow {

/// Integer types, views of a step, arguments of kernels.
std::string_view view_texts();
/// Numbers and teams; needs nothing.
std::string_view number_texts();
/// Codes, operators, page axis, selection, rows; needs the views and the constants of the plan.
std::string_view code_texts();

}  // namespace vortex::flow

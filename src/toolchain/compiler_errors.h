// What a C++ compiler wrote, as one Error.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace vortex::toolchain {

/// The first error that g++ or clang++ reported inside `file`, else its first error at all: `where` is
/// FILE:LINE:COLUMN. Further errors are counted in the hint. kConfiguration.
Error first_compiler_error(std::string_view output, const std::string& file);

}  // namespace vortex::toolchain

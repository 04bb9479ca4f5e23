// Which build this code is of: ranks of different builds do not understand each other.
#pragma once

#include <string_view>

namespace vortex::comm {

/// The linker's digest of the file that this code lies in, in hexadecimal (at most 63 digits), or the version where the
/// file has none.
std::string_view build_id();

}  // namespace vortex::comm

// What a pass tells about its work, for `vortex flow explain`.
#pragma once

#include <string>
#include <vector>

namespace vortex::flow {

/// One line a change: "shift at flow.cc:12:20: Add(x, batched) -> x".
using PassNotes = std::vector<std::string>;

}  // namespace vortex::flow

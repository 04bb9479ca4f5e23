// The ready-made flows, by the names that configurations use.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vortex/flow.h"

namespace vortex::flows {

struct FlowInfo {
  std::string_view name;
  AttentionKind attention;
  std::string_view summary;  // one line: what stands for a page, and its cost
};

/// In the order of the registry.
std::vector<FlowInfo> list_flows();

/// Error (not_found) with the nearest name.
Result<std::unique_ptr<FlowBase>> make_flow(std::string_view name);

}  // namespace vortex::flows

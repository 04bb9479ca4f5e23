#include "flow/passes/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "flow/ir/verify.h"
#include "flow/passes/common_subexpressions.h"
#include "flow/passes/dead_code.h"
#include "flow/passes/fuse.h"
#include "flow/passes/rewrite.h"

namespace vortex::flow {
namespace {

struct Pass {
  std::string_view name;
  void (*run)(Graph*, PassNotes*);
};
constexpr std::array kPasses = {
    Pass{"rewrite", rewrite_graph},
    Pass{"common_subexpressions", share_common_subexpressions},
    Pass{"dead_code", remove_dead_code},
    Pass{"fuse", fuse_groups},
};

Status check_names(const PassOptions& options) {
  for (const std::string& name : options.off) {
    const bool known = std::any_of(kPasses.begin(), kPasses.end(), [&](const Pass& p) { return p.name == name; });
    if (!known)
      return Error{ErrorCode::kConfiguration, "passes", fmt::format("no pass '{}'", name),
                   fmt::format("passes are {}", fmt::join(pass_names(), ", "))};
  }
  return {};
}

}  // namespace

std::vector<std::string_view> pass_names() {
  std::vector<std::string_view> names;
  for (const Pass& pass : kPasses) names.push_back(pass.name);
  return names;
}

Status run_passes(const PassOptions& options, Graph* graph, std::vector<PassReport>* reports) {
  VORTEX_RETURN_IF_ERROR(check_names(options));
  for (const Pass& pass : kPasses) {
    PassReport report{pass.name, std::find(options.off.begin(), options.off.end(), pass.name) == options.off.end(), {}};
    if (report.ran) {
      pass.run(graph, &report.notes);
      const Status verified = verify(*graph);
      VORTEX_CHECK(verified.ok(), "after pass {}: {}", pass.name, verified.error().to_string());
    }
    if (reports != nullptr) reports->push_back(std::move(report));
  }
  return {};
}

}  // namespace vortex::flow

#include "flow/source/flow_source.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "flow/frontend/trace.h"
#include "flow/source/flow_file.h"
#include "flows/registry.h"

namespace vortex::flow {
namespace {
namespace fs = std::filesystem;

class BuiltinSource final : public FlowSource {
 public:
  explicit BuiltinSource(std::string name) : name_(std::move(name)) {}
  const std::string& name() const override { return name_; }
  Result<Graph> trace(const GraphShape& shape) const override {
    VORTEX_ASSIGN_OR_RETURN(const auto flow, flows::make_flow(name_));
    return flow::trace(*flow, name_, shape);
  }

 private:
  const std::string name_;
};

Result<std::unique_ptr<FlowSource>> load_builtin(const std::optional<std::string>& name) {
  if (!name)
    return Error{ErrorCode::kConfiguration, "vortex config", "module_name: no flow is named",
                 "`vortex flow list` shows the built-in ones"};
  const auto flow = flows::make_flow(*name);
  if (flow.ok()) return std::unique_ptr<FlowSource>(std::make_unique<BuiltinSource>(*name));
  Error error = flow.error();
  error.code = ErrorCode::kConfiguration;
  error.where = "module_name";
  return error;
}

constexpr std::array<std::string_view, 5> kFlowSuffixes = {".cc", ".cpp", ".so", ".json", ".py"};

}  // namespace

Result<std::unique_ptr<FlowSource>> load_flow_source(const FlowRequest& request) {
  if (!request.module_path) return load_builtin(request.module_name);
  return load_flow_file(*request.module_path, request.module_name, request.cache_dir);
}

FlowRequest flow_request(const std::string& name_or_file) {
  const std::string suffix = fs::path(name_or_file).extension();
  const bool is_file = name_or_file.find('/') != std::string::npos ||
                       std::find(kFlowSuffixes.begin(), kFlowSuffixes.end(), suffix) != kFlowSuffixes.end();
  FlowRequest request;
  (is_file ? request.module_path : request.module_name) = name_or_file;
  return request;
}

}  // namespace vortex::flow

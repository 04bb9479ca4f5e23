#include "flow/source/flow_source.h"

#include <fmt/format.h>

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
  BuiltinSource(std::string name, AttentionKind attention) : name_(std::move(name)), attention_(attention) {}
  const std::string& name() const override { return name_; }
  AttentionKind attention() const override { return attention_; }

 private:
  Result<Graph> record(const GraphShape& shape) const override {
    VORTEX_ASSIGN_OR_RETURN(const auto flow, flows::make_flow(name_));
    return flow::trace(*flow, name_, shape);
  }

  const std::string name_;
  const AttentionKind attention_;
};

Result<std::unique_ptr<FlowSource>> load_builtin(const std::optional<std::string>& name) {
  if (!name)
    return Error{ErrorCode::kConfiguration, "vortex config", "module_name: no flow is named",
                 "`vortex flow list` shows the built-in ones"};
  const auto flow = flows::make_flow(*name);
  if (flow.ok()) return std::unique_ptr<FlowSource>(std::make_unique<BuiltinSource>(*name, (*flow)->attention()));
  Error error = flow.error();
  error.code = ErrorCode::kConfiguration;
  error.where = "module_name";
  return error;
}

constexpr std::array<std::string_view, 5> kFlowSuffixes = {".cc", ".cpp", ".so", ".json", ".py"};

}  // namespace

Status FlowSource::check_attention(const GraphShape& shape) const {
  const AttentionKind model = attention_of(shape);
  const Status fits = flow::check_attention(name(), attention(), model);
  if (fits.ok()) return {};
  std::vector<std::string_view> others;
  for (const flows::FlowInfo& flow : flows::list_flows())
    if (flow.attention == model) others.push_back(flow.name);
  Error error = fits.error();
  error.hint = fmt::format("flows that fit: {}", fmt::join(others, ", "));
  return error;
}

Result<Graph> FlowSource::trace(const GraphShape& shape) const {
  VORTEX_RETURN_IF_ERROR(check_attention(shape));
  return record(shape);
}

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

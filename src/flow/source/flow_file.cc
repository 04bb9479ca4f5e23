#include "flow/source/flow_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "flow/frontend/trace.h"
#include "flow/ir/json.h"
#include "flow/source/build.h"
#include "flow/source/plugin.h"
#include "flow/source/python_file.h"

namespace vortex::flow {
namespace {
namespace fs = std::filesystem;

constexpr int64_t kMaxJsonBytes = int64_t{16} << 20;

/// A graph that was recorded elsewhere, for one shape.
class GraphSource final : public FlowSource {
 public:
  GraphSource(Graph graph, std::string path) : graph_(std::move(graph)), path_(std::move(path)) {}
  const std::string& name() const override { return graph_.name; }
  AttentionKind attention() const override { return attention_of(graph_.shape); }

 private:
  Result<Graph> record(const GraphShape& shape) const override {
    if (graph_.shape == shape) return graph_;
    return Error{ErrorCode::kInvalidArgument, path_,
                 fmt::format("recorded for {}; needed for {}", to_string(graph_.shape), to_string(shape)),
                 "record the flow again for this model, or use its .py or .cc file"};
  }

  const Graph graph_;
  const std::string path_;
};

/// The flows of a shared object, recorded anew for every shape.
class PluginSource final : public FlowSource {
 public:
  PluginSource(Plugin plugin, std::string name) : plugin_(std::move(plugin)), name_(std::move(name)) {}
  const std::string& name() const override { return name_; }
  AttentionKind attention() const override { return plugin_.find(name_)->attention; }

 private:
  Result<Graph> record(const GraphShape& shape) const override {
    VORTEX_ASSIGN_OR_RETURN(const auto flow, plugin_.make(name_));
    return flow::trace(*flow, name_, shape);
  }

  const Plugin plugin_;
  const std::string name_;
};

Error no_such_flow(const std::string& path, const std::string& name, const std::string& there) {
  return {ErrorCode::kConfiguration, path, fmt::format("no flow '{}' in this file", name.substr(0, 100)),
          "it has " + there};
}

Result<std::unique_ptr<FlowSource>> load_json(const std::string& path, const std::optional<std::string>& name) {
  VORTEX_ASSIGN_OR_RETURN(const std::string text, read_small_file(path, kMaxJsonBytes));
  VORTEX_ASSIGN_OR_RETURN(Graph graph, read_json(text, path));
  if (name && *name != graph.name) return no_such_flow(path, *name, graph.name);
  return std::unique_ptr<FlowSource>(std::make_unique<GraphSource>(std::move(graph), path));
}

std::string joined(const std::vector<std::string_view>& names) {
  std::string list;
  for (std::string_view name : names) list += fmt::format("{}{}", list.empty() ? "" : ", ", name);
  return list;
}

/// `path` is what the user wrote, `library` the shared object made from it.
Result<std::unique_ptr<FlowSource>> load_plugin(const std::string& path, const std::string& library,
                                                const std::optional<std::string>& name) {
  VORTEX_ASSIGN_OR_RETURN(Plugin plugin, Plugin::open(library, path));
  const auto names = plugin.names();
  if (!name && names.size() != 1)
    return Error{ErrorCode::kConfiguration, path, fmt::format("has {} flows: {}", names.size(), joined(names)),
                 "name one in module_name"};
  const std::string chosen = name ? *name : std::string(names[0]);
  if (std::find(names.begin(), names.end(), chosen) == names.end()) return no_such_flow(path, chosen, joined(names));
  return std::unique_ptr<FlowSource>(std::make_unique<PluginSource>(std::move(plugin), chosen));
}

Result<std::unique_ptr<FlowSource>> load_source(const std::string& path, const std::optional<std::string>& name,
                                                const std::optional<std::string>& cache_dir) {
  VORTEX_ASSIGN_OR_RETURN(const fs::path library, build_flow(path, cache_dir));
  return load_plugin(path, library.string(), name);
}

Status check_is_file(const std::string& path) {
  std::error_code failure;
  if (fs::is_regular_file(path, failure)) return {};
  return Error{ErrorCode::kNotFound, path.empty() ? "module_path" : path,
               fs::exists(path, failure) ? "not a file" : "no such file", "module_path is the file of the flow"};
}

}  // namespace

Result<std::unique_ptr<FlowSource>> load_flow_file(const std::string& path, const std::optional<std::string>& name,
                                                   const std::optional<std::string>& cache_dir) {
  VORTEX_RETURN_IF_ERROR(check_is_file(path));
  const std::string suffix = fs::path(path).extension();
  if (suffix == ".cc" || suffix == ".cpp") return load_source(path, name, cache_dir);
  if (suffix == ".so") return load_plugin(path, path, name);
  if (suffix == ".json") return load_json(path, name);
  if (suffix == ".py") return load_python_file(path, name, cache_dir);
  return Error{ErrorCode::kConfiguration, path, fmt::format("'{}' is no suffix of a flow's file", suffix),
               "give a .py, .cc, .so or .json file"};
}

}  // namespace vortex::flow

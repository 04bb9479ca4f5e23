// Section "flow" of vortex._native: flows as graphs, and what they would read.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/flow_setup.h"
#include "engine/preflight/preflight.h"
#include "flow/ir/json.h"
#include "flows/registry.h"
#include "loader/hub/named_config.h"
#include "native/arrays.h"
#include "native/flow_trial.h"
#include "native/module.h"
#include "tensor/codes.h"

namespace vortex::python {
namespace {
namespace nb = nanobind;
using namespace nb::literals;

using FindingRow = std::tuple<std::string, std::string, std::string, std::string>;
using Array2 = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Array3 = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

Result<std::string> trace_flow(const flow::FlowRequest& request, const std::string& shape_json) {
  VORTEX_ASSIGN_OR_RETURN(const flow::GraphShape shape, flow::read_shape(shape_json, "shape"));
  VORTEX_ASSIGN_OR_RETURN(const auto source, flow::load_flow_source(request));
  VORTEX_ASSIGN_OR_RETURN(const flow::Graph graph, source->trace(shape));
  return flow::write_json(graph);
}

/// One text for graphs that are equal: without places, with the scale that is meant.
Result<std::string> canonical_graph(const std::string& graph_json) {
  VORTEX_ASSIGN_OR_RETURN(flow::Graph graph, flow::read_json(graph_json, "graph"));
  for (flow::Program* program : {&graph.cache, &graph.indexer})
    for (flow::Node& node : program->nodes) node.where.clear();
  graph.shape.scale = graph.shape.logit_scale();
  return flow::write_json(graph);
}

std::vector<std::tuple<std::string, std::string, std::string>> list_flows() {
  std::vector<std::tuple<std::string, std::string, std::string>> out;
  for (const flows::FlowInfo& flow : flows::list_flows())
    out.emplace_back(flow.name, flow.attention == AttentionKind::kMla ? "mla" : "gqa", flow.summary);
  return out;
}

Result<VortexConfig> read_config(const std::string& json) {
  VORTEX_ASSIGN_OR_RETURN(auto config, parse_vortex_config(json, "vortex config"));
  if (config) return std::move(*config);
  return Error{ErrorCode::kConfiguration, "vortex config", "enable_vortex_sparsity is false: there is no flow", ""};
}

Result<std::vector<Finding>> find_faults(const std::string& vortex_json, const std::optional<std::string>& model,
                                         bool sweep) {
  VORTEX_ASSIGN_OR_RETURN(const VortexConfig config, read_config(vortex_json));
  std::optional<ModelConfig> shapes;
  if (model) {
    VORTEX_ASSIGN_OR_RETURN(shapes, read_model_config(*model));
  }
  return preflight(config, shapes ? &*shapes : nullptr, {.sweep = sweep});
}

Result<std::string> model_shape(const std::string& model, int page_tokens) {
  VORTEX_ASSIGN_OR_RETURN(const ModelConfig config, read_model_config(model));
  return flow::write_shape(flow_shape(config, page_tokens));
}

Error shape_error(const char* what, const std::string& expected) {
  return {ErrorCode::kInvalidArgument, "select_pages", fmt::format("{} must be {}", what, expected), ""};
}

/// Reads the graph and holds the arrays against its shape.
class Trial {
 public:
  Status read(const std::string& graph_json, const std::string& vortex_json, const std::string& backend,
              const std::string& kv_dtype) {
    VORTEX_ASSIGN_OR_RETURN(graph_, flow::read_json(graph_json, "graph"));
    VORTEX_ASSIGN_OR_RETURN(config_, read_config(vortex_json));
    if (backend != "cpu" && backend != "interpreter")
      return Error{ErrorCode::kConfiguration, "backend", fmt::format("'{}' is none", backend), "cpu or interpreter"};
    backend_ = backend == "cpu" ? flow::BackendKind::kCpu : flow::BackendKind::kInterpreter;
    const auto dtype = parse_kv_dtype(kv_dtype);
    if (!dtype)
      return Error{ErrorCode::kConfiguration, "kv_dtype", fmt::format("'{}' is no type", kv_dtype),
                   "float32, bfloat16, float16 or int8"};
    kv_dtype_ = *dtype;
    if (graph_.shape.page_tokens != config_.block_size)
      return Error{ErrorCode::kConfiguration, "block_size",
                   fmt::format("{}: the graph is for pages of {} tokens", config_.block_size, graph_.shape.page_tokens),
                   "record the flow for the config's block_size"};
    return {};
  }

  Status take(const Array3& keys, const Array3& values) {
    arrays_.kv_heads = static_cast<int64_t>(keys.shape(0));
    arrays_.tokens = static_cast<int64_t>(keys.shape(1));
    arrays_.bases = {keys.data(), values.data()};
    for (const Array3* array : {&keys, &values})
      for (size_t axis = 0; axis < 3; ++axis)
        if (array->shape(axis) != (axis == 2 ? width() : keys.shape(axis)))
          return shape_error("keys and values", fmt::format("[kv_heads, tokens, {}] both", width()));
    return {};
  }

  Status take(const Array2& latent) {
    arrays_.tokens = static_cast<int64_t>(latent.shape(0));
    arrays_.bases = {latent.data()};
    return latent.shape(1) == width() ? Status() : shape_error("latents", fmt::format("[tokens, {}]", width()));
  }

  Status ask(const Array3& queries) {
    arrays_.queries = queries.data();
    const auto group = static_cast<size_t>(graph_.shape.group), heads = static_cast<size_t>(arrays_.kv_heads);
    if (queries.shape(0) == heads && queries.shape(1) == group && queries.shape(2) == width()) return {};
    return shape_error("queries", fmt::format("[{}, {}, {}]: kv heads, group, width", heads, group, width()));
  }

  Result<TrialResult> run() { return try_flow(std::move(graph_), arrays_, config_, backend_, kv_dtype_); }

 private:
  size_t width() const { return static_cast<size_t>(graph_.shape.head_dim); }

  flow::Graph graph_;
  VortexConfig config_;
  flow::BackendKind backend_ = flow::BackendKind::kCpu;
  DType kv_dtype_ = DType::kBF16;
  TrialArrays arrays_;
};

template <class... Bases>
nb::tuple select_pages(const std::string& graph_json, const Bases&... bases, const Array3& queries,
                       const std::string& vortex_json, const std::string& backend, const std::string& kv_dtype) {
  Trial trial;
  unwrap(trial.read(graph_json, vortex_json, backend, kv_dtype));
  unwrap(trial.take(bases...));
  unwrap(trial.ask(queries));
  TrialResult result = unwrap(without_gil([&] { return trial.run(); }));
  nb::list pages;
  for (auto& row : result.pages) pages.append(to_array(std::move(row)));
  const std::array<size_t, 2> shape{result.pages.size(), static_cast<size_t>(result.held)};
  return nb::make_tuple(pages, to_array(std::move(result.scores), shape));
}

}  // namespace

void add_flow(nb::module_& m) {
  m.def(
      "flow_request",
      [](const std::string& name_or_file) {
        flow::FlowRequest request = flow::flow_request(name_or_file);
        return std::pair(std::move(request.module_path), std::move(request.module_name));
      },
      "name_or_file"_a);
  m.def(
      "trace_flow",
      [](std::optional<std::string> path, std::optional<std::string> name, const std::string& shape_json) {
        const flow::FlowRequest request = {std::move(path), std::move(name), {}};
        return unwrap(without_gil([&] { return trace_flow(request, shape_json); }));
      },
      "module_path"_a.none(), "module_name"_a.none(), "shape_json"_a);
  m.def(
      "canonical_graph", [](const std::string& graph_json) { return unwrap(canonical_graph(graph_json)); },
      "graph_json"_a);
  m.def("list_flows", &list_flows);
  m.def(
      "preflight",
      [](const std::string& vortex_json, const std::optional<std::string>& model, bool sweep) {
        std::vector<FindingRow> out;
        for (Finding& f : unwrap(without_gil([&] { return find_faults(vortex_json, model, sweep); })))
          out.emplace_back(severity_name(f.severity), std::move(f.where), std::move(f.message), std::move(f.hint));
        return out;
      },
      "vortex_json"_a, "model"_a.none(), "sweep"_a);
  m.def(
      "model_shape", [](const std::string& model, int page_tokens) { return unwrap(model_shape(model, page_tokens)); },
      "model"_a, "page_tokens"_a);
  m.def("select_pages", &select_pages<Array3, Array3>, "graph_json"_a, "keys"_a, "values"_a, "queries"_a,
        "vortex_json"_a, "backend"_a, "kv_dtype"_a);
  m.def("select_latent_pages", &select_pages<Array2>, "graph_json"_a, "latents"_a, "queries"_a, "vortex_json"_a,
        "backend"_a, "kv_dtype"_a);
}

}  // namespace vortex::python

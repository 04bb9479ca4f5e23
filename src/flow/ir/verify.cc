#include "flow/ir/verify.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "flow/ir/infer.h"

namespace vortex::flow {
namespace {

Error fault(std::string where, std::string message, std::string hint = {}) {
  return {ErrorCode::kInvalidArgument, std::move(where), std::move(message), std::move(hint)};
}

bool is_identifier(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameLength || std::isdigit(static_cast<unsigned char>(name[0]))) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)); });
}

bool is_reserved(std::string_view name) {
  constexpr std::array<std::string_view, 5> kReserved = {"k", "v", "latent", "kv_c", "k_pe"};
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

Status verify_extent(const Graph& graph, std::string_view what, int rows, int cols) {
  const bool fits =
      rows >= 1 && rows <= kMaxExtent && cols >= 1 && cols <= kMaxExtent && int64_t{rows} * cols <= kMaxElements;
  if (fits) return {};
  const GraphShape& shape = graph.shape;
  return fault(graph.name,
               fmt::format("{} has impossible shape [{}, {}] for group {}, head_dim {}, block_size {}", what, rows,
                           cols, shape.group, shape.head_dim, shape.page_tokens),
               rows == 0 || cols == 0
                   ? "an axis is empty: this flow needs a larger block_size or head_dim"
                   : fmt::format("each axis from 1 to {}, {} elements at most", kMaxExtent, kMaxElements));
}

Status verify_field(const Graph& graph, size_t index) {
  const FieldDecl& field = graph.fields[index];
  if (is_reserved(field.name))
    return fault(graph.name, fmt::format("create_cache declares '{}', a reserved name", field.name),
                 "k and v (latent for MLA) are always there; choose another name");
  if (!is_identifier(field.name))
    return fault(graph.name, fmt::format("'{}' is no field name", field.name),
                 fmt::format("letters, digits and _, not a digit first, at most {}", kMaxNameLength));
  for (size_t i = 0; i < index; ++i)
    if (graph.fields[i].name == field.name)
      return fault(graph.name, fmt::format("create_cache declares '{}' twice", field.name));
  return verify_extent(graph, fmt::format("field '{}'", field.name), field.rows, field.cols);
}

class ProgramVerifier {
 public:
  ProgramVerifier(const Graph& graph, const Program& program)
      : graph_(graph), program_(program), defined_(program.values.size(), false) {
    std::fill_n(defined_.begin(), std::min(defined_.size(), static_cast<size_t>(inputs())), true);
  }

  Status run() {
    if (static_cast<int>(program_.values.size()) < inputs()) return fault(graph_.name, "program lacks its inputs");
    for (const Node& node : program_.nodes) VORTEX_RETURN_IF_ERROR(verify_node(node));
    return verify_groups();
  }

 private:
  int inputs() const { return input_count(graph_, program_.side); }

  Status verify_node(const Node& node) {
    const std::string_view name = op_info(node.op).name;
    std::vector<Type> types;
    for (ValueId v : node.inputs) {
      if (v < 0 || static_cast<size_t>(v) >= defined_.size() || !defined_[static_cast<size_t>(v)])
        return fault(node.where, fmt::format("{} reads a value that does not exist yet", name));
      VORTEX_RETURN_IF_ERROR(verify_cache_read(node, v));
      types.push_back(program_.type(v));
    }
    auto inferred =
        infer_type(program_.side, node.op, node.attributes, types, stored_type(graph_, node.op, node.attributes));
    if (!inferred.ok()) {
      Error error = inferred.error();
      error.where = node.where;
      return error;
    }
    if (inferred->has_value() != (node.output != kNoValue))
      return fault(node.where, fmt::format("{} disagrees about its result", name));
    if (node.output == kNoValue) return {};
    const auto out = static_cast<size_t>(node.output);
    if (out >= defined_.size() || defined_[out] || program_.values[out].type != **inferred)
      return fault(node.where, fmt::format("{} has a result of the wrong type", name));
    defined_[out] = true;
    return {};
  }

  /// A page is summarised once and its declared fields hold an earlier owner's values until they are written.
  Status verify_cache_read(const Node& node, ValueId v) const {
    if (program_.side != kCache || v >= inputs() || v < graph_.base_fields()) return {};
    return fault(node.where,
                 fmt::format("{} reads field '{}' in forward_cache", op_info(node.op).name, graph_.field_name(v)),
                 "only the page's tokens can be read there; keep the value in a variable");
  }

  Status verify_groups() const {
    std::vector<bool> ran(program_.nodes.size(), false);
    size_t count = 0;
    for (const auto& group : program_.groups) {
      for (NodeId n : group) {
        if (n < 0 || static_cast<size_t>(n) >= ran.size() || ran[static_cast<size_t>(n)])
          return fault(graph_.name, "groups do not partition the operators");
        for (ValueId v : program_.node(n).inputs) {
          const NodeId producer = program_.values[static_cast<size_t>(v)].producer;
          if (producer >= 0 && !ran[static_cast<size_t>(producer)])
            return fault(graph_.name, "groups are not in execution order");
        }
        ran[static_cast<size_t>(n)] = true;
        ++count;
      }
      if (group.size() > 1 && std::any_of(group.begin(), group.end(), [&](NodeId n) {
            return schedule_of(program_.node(n).op, program_.node(n).attributes) == Schedule::kAlone;
          }))
        return fault(graph_.name, "an operator that runs alone is in a group");
    }
    if (count != ran.size()) return fault(graph_.name, "an operator is in no group");
    return {};
  }

  const Graph& graph_;
  const Program& program_;
  std::vector<bool> defined_;
};

bool is_output(const Node& node) {
  return op_info(node.op).rule == TypeRule::kOutput || op_info(node.op).rule == TypeRule::kUnion;
}

Status verify_output(const Graph& graph) {
  const Node* output = nullptr;
  for (const Node& node : graph.indexer.nodes) {
    if (!is_output(node)) continue;
    if (output != nullptr)
      return fault(
          node.where, fmt::format("{} is a second output of forward_indexer", op_info(node.op).name),
          fmt::format("the first is {} at {}; combine the scores instead", op_info(output->op).name, output->where));
    output = &node;
  }
  if (output == nullptr)
    return fault(graph.name, "forward_indexer has no output", "end it with top_k(score) or another output op");
  return {};
}

Status verify_writers(const Graph& graph) {
  std::vector<const Node*> writer(graph.fields.size(), nullptr);
  for (const Node& node : graph.cache.nodes) {
    if (op_info(node.op).rule != TypeRule::kStore) continue;
    const Node*& slot = writer[static_cast<size_t>(node.attributes.field)];
    const std::string& name = graph.fields[static_cast<size_t>(node.attributes.field)].name;
    if (slot != nullptr)
      return fault(node.where, fmt::format("{} writes field '{}' a second time", op_info(node.op).name, name),
                   fmt::format("first written at {}", slot->where));
    slot = &node;
  }
  for (size_t f = 0; f < writer.size(); ++f)
    if (writer[f] == nullptr)
      return fault(graph.name, fmt::format("nothing writes field '{}' in forward_cache", graph.fields[f].name),
                   "write it, or fill it with 0 if forward_indexer saves to it");
  return {};
}

/// Two values for one place would make the order of stores matter.
Status verify_saves(const Graph& graph) {
  std::vector<const Node*> saver(graph.fields.size(), nullptr);
  for (const Node& node : graph.indexer.nodes) {
    if (node.op != Op::kSave) continue;
    const Node*& slot = saver[static_cast<size_t>(node.attributes.field)];
    if (slot != nullptr)
      return fault(node.where,
                   fmt::format("Save stores to field '{}' a second time",
                               graph.fields[static_cast<size_t>(node.attributes.field)].name),
                   fmt::format("first stored at {}", slot->where));
    slot = &node;
  }
  return {};
}

}  // namespace

std::optional<Type> stored_type(const Graph& graph, Op op, const Attributes& attributes) {
  if (op_info(op).rule != TypeRule::kStore) return std::nullopt;
  if (attributes.field < 0 || attributes.field >= static_cast<int>(graph.fields.size())) return std::nullopt;
  return graph.field_type(graph.base_fields() + attributes.field);
}

Status verify_declarations(const Graph& graph) {
  if (!is_identifier(graph.name)) return fault("flow", fmt::format("'{}' is no name of a flow", graph.name));
  VORTEX_RETURN_IF_ERROR(verify_extent(graph, "the query", graph.shape.group, graph.shape.head_dim));
  if (graph.shape.kv_lora_rank > graph.shape.head_dim)
    return fault(graph.name, fmt::format("kv_lora_rank {} is more than the latent's width {}", graph.shape.kv_lora_rank,
                                         graph.shape.head_dim));
  if (!(graph.shape.scale >= 0 && std::isfinite(graph.shape.scale)))
    return fault(graph.name, fmt::format("the scale of attention is {}", graph.shape.scale));
  VORTEX_RETURN_IF_ERROR(verify_extent(graph, "a page", graph.shape.page_tokens, graph.shape.head_dim));
  if (graph.fields.size() > kMaxFields)
    return fault(graph.name,
                 fmt::format("create_cache declares {} fields, at most {}", graph.fields.size(), kMaxFields));
  for (size_t f = 0; f < graph.fields.size(); ++f) VORTEX_RETURN_IF_ERROR(verify_field(graph, f));
  return {};
}

Status verify(const Graph& graph) {
  VORTEX_RETURN_IF_ERROR(verify_declarations(graph));
  VORTEX_RETURN_IF_ERROR(ProgramVerifier(graph, graph.cache).run());
  VORTEX_RETURN_IF_ERROR(ProgramVerifier(graph, graph.indexer).run());
  VORTEX_RETURN_IF_ERROR(verify_output(graph));
  VORTEX_RETURN_IF_ERROR(verify_saves(graph));
  return verify_writers(graph);
}

}  // namespace vortex::flow

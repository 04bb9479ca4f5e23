#include "flow/ir/json.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>

#include "flow/ir/builder.h"
#include "flow/ir/print.h"

namespace vortex::flow {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "vortex-flow/1";
constexpr int kMaxDepth = 64;
constexpr size_t kMaxText = 64u << 20;
constexpr size_t kMaxPlace = 4096;

Json node_to_json(const Graph& graph, const Program& program, const Node& node) {
  Json out;
  out["op"] = op_info(node.op).name;
  out["inputs"] = Json::array();
  for (ValueId v : node.inputs) out["inputs"].push_back(print_value(graph, program, v));
  const Attributes defaults = default_attributes(node.op);
  for (const IntAttribute& a : int_attributes())
    if (has_attribute(node.op, a.flag)) out[std::string(a.key)] = node.attributes.*a.member;
  for (const FloatAttribute& a : float_attributes())
    if (has_attribute(node.op, a.flag) && node.attributes.*a.member != defaults.*a.member)
      out[std::string(a.key)] = node.attributes.*a.member;
  if (has_attribute(node.op, kWeight)) out["weight"] = node.attributes.weight;
  if (has_attribute(node.op, kNamed)) out["parameter"] = node.attributes.parameter;
  if (has_attribute(node.op, kField)) out["field"] = graph.fields[static_cast<size_t>(node.attributes.field)].name;
  if (!node.where.empty()) out["at"] = node.where;
  return out;
}

Json shape_to_json(const GraphShape& shape) {
  Json out = {{"group", shape.group},
              {"head_dim", shape.head_dim},
              {"page_tokens", shape.page_tokens},
              {"attention", shape.attention()}};
  if (shape.latent()) out["kv_lora_rank"] = shape.kv_lora_rank;
  if (shape.scale > 0) out["scale"] = shape.scale;
  return out;
}

Json nodes_to_json(const Graph& graph, const Program& program) {
  Json out = Json::array();
  for (const Node& node : program.nodes) out.push_back(node_to_json(graph, program, node));
  return out;
}

/// nlohmann builds values without bound on depth; text is screened before it parses.
bool nested_too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

Result<Json> parse_object(std::string_view text, const std::string& where) {
  const auto fault = [&](std::string message) {
    return Error{ErrorCode::kInvalidArgument, where, std::move(message), ""};
  };
  if (text.size() > kMaxText) return fault(fmt::format("larger than {} MB", kMaxText >> 20));
  if (nested_too_deep(text)) return fault(fmt::format("nested deeper than {}", kMaxDepth));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return fault("not JSON");
  if (!json.is_object()) return fault("must be an object");
  return json;
}

/// Reads one object; every key must be asked for or finish() names the stranger.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  Error fault(const std::string& message, std::string hint = {}) const {
    return {ErrorCode::kInvalidArgument, where_, message, std::move(hint)};
  }

  const Json* find(std::string_view key) {
    seen_.emplace_back(key);
    const auto it = object_.find(std::string(key));
    return it == object_.end() ? nullptr : &*it;
  }

  Result<std::string> text(std::string_view key, size_t limit) {
    const Json* value = find(key);
    if (value == nullptr || !value->is_string()) return fault(fmt::format("'{}' must be a string", key));
    if (value->get_ref<const std::string&>().size() > limit) return fault(fmt::format("'{}' is too long", key));
    return value->get<std::string>();
  }

  Result<int> integer(std::string_view key, int least, int most) {
    const Json* value = find(key);
    if (value == nullptr || !value->is_number_integer() || *value < least || *value > most)
      return fault(fmt::format("'{}' must be an integer from {} to {}", key, least, most));
    return value->get<int>();
  }

  Result<const Json*> array(std::string_view key, size_t limit) {
    const Json* value = find(key);
    if (value == nullptr || !value->is_array()) return fault(fmt::format("'{}' must be a list", key));
    if (value->size() > limit) return fault(fmt::format("'{}' has {} items, at most {}", key, value->size(), limit));
    return value;
  }

  Status finish() const {
    if (!object_.is_object()) return fault("must be an object");
    for (const auto& [key, value] : object_.items())
      if (std::find(seen_.begin(), seen_.end(), key) == seen_.end()) return fault(fmt::format("unknown key '{}'", key));
    return {};
  }

 private:
  const Json& object_;
  std::string where_;
  std::vector<std::string> seen_;
};

Result<float> to_float(const ObjectReader& reader, std::string_view key, const Json& value) {
  if (!value.is_number()) return reader.fault(fmt::format("'{}' must be a number", key));
  const double number = value.get<double>();
  if (!(std::abs(number) <= std::numeric_limits<float>::max()))
    return reader.fault(fmt::format("'{}' is out of float32's range", key));
  return static_cast<float>(number);
}

Result<GraphShape> read_shape(const Json& json, const std::string& where) {
  ObjectReader reader(json, where + ": shape");
  GraphShape shape;
  VORTEX_ASSIGN_OR_RETURN(shape.group, reader.integer("group", 1, kMaxExtent));
  VORTEX_ASSIGN_OR_RETURN(shape.head_dim, reader.integer("head_dim", 1, kMaxExtent));
  VORTEX_ASSIGN_OR_RETURN(shape.page_tokens, reader.integer("page_tokens", 1, kMaxExtent));
  VORTEX_ASSIGN_OR_RETURN(const std::string attention, reader.text("attention", kMaxNameLength));
  if (attention != "gqa" && attention != "mla") return reader.fault("'attention' must be \"gqa\" or \"mla\"");
  if (attention == "mla") {
    VORTEX_ASSIGN_OR_RETURN(shape.kv_lora_rank, reader.integer("kv_lora_rank", 1, kMaxExtent));
  }
  if (const Json* scale = reader.find("scale")) {
    VORTEX_ASSIGN_OR_RETURN(shape.scale, to_float(reader, "scale", *scale));
  }
  VORTEX_RETURN_IF_ERROR(reader.finish());
  return shape;
}

Result<FieldDecl> read_field(const Json& json, const std::string& where) {
  ObjectReader reader(json, where);
  FieldDecl field;
  VORTEX_ASSIGN_OR_RETURN(field.name, reader.text("name", kMaxNameLength));
  VORTEX_ASSIGN_OR_RETURN(field.rows, reader.integer("rows", 1, kMaxExtent));
  VORTEX_ASSIGN_OR_RETURN(field.cols, reader.integer("cols", 1, kMaxExtent));
  if (reader.find("storage") != nullptr) {
    VORTEX_ASSIGN_OR_RETURN(const std::string name, reader.text("storage", kMaxNameLength));
    const auto storage = parse_storage(name);
    if (!storage) return reader.fault(fmt::format("unknown storage '{}'", name));
    field.storage = *storage;
  }
  VORTEX_RETURN_IF_ERROR(reader.finish());
  return field;
}

/// Adds the nodes of one program to the builder.
class ProgramReader {
 public:
  ProgramReader(Side side, GraphBuilder* builder) : side_(side), builder_(builder) {}

  Status add(const Json& json, const std::string& where) {
    ObjectReader reader(json, where);
    VORTEX_ASSIGN_OR_RETURN(const std::string name, reader.text("op", kMaxNameLength));
    const std::optional<Op> op = op_from_name(name);
    if (!op) return reader.fault(fmt::format("unknown operator '{}'", name));
    VORTEX_ASSIGN_OR_RETURN(const Json* list, reader.array("inputs", 8));
    std::vector<ValueId> inputs;
    for (const Json& item : *list) {
      VORTEX_ASSIGN_OR_RETURN(const ValueId input, read_input(reader, item));
      inputs.push_back(input);
    }
    VORTEX_ASSIGN_OR_RETURN(Attributes attributes, read_attributes(reader, *op));
    std::string at;
    if (reader.find("at") != nullptr) {
      VORTEX_ASSIGN_OR_RETURN(at, reader.text("at", kMaxPlace));
    }
    VORTEX_RETURN_IF_ERROR(reader.finish());
    auto made = builder_->add(side_, *op, std::move(inputs), std::move(attributes), at.empty() ? where : at);
    if (!made.ok()) return made.error();
    results_.push_back(*made);
    return {};
  }

 private:
  Result<ValueId> read_input(const ObjectReader& reader, const Json& item) const {
    const std::string name = item.is_string() ? item.get<std::string>() : "";
    if (name == "q" && side_ == kIndexer) return kQueryValue;
    if (name.starts_with("@")) {
      const auto field = builder_->graph().find_field(std::string_view(name).substr(1));
      if (field) return field_value(side_, *field);
    }
    if (name.starts_with("%")) {
      size_t node = 0;
      const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), node);
      const bool parsed = error == std::errc() && end == name.data() + name.size() && name.size() > 1;
      if (parsed && node < results_.size() && results_[node] != kNoValue) return results_[node];
    }
    return reader.fault(fmt::format("no such input '{}'", name.substr(0, kMaxNameLength)),
                        "\"q\" in the indexer, \"@field\", or \"%i\" of an earlier node with a result");
  }

  Result<Attributes> read_attributes(ObjectReader& reader, Op op) const {
    Attributes out = default_attributes(op);
    for (const IntAttribute& a : int_attributes()) {
      if (!has_attribute(op, a.flag)) continue;
      VORTEX_ASSIGN_OR_RETURN(out.*a.member, reader.integer(a.key, 0, std::numeric_limits<int>::max()));
    }
    for (const FloatAttribute& a : float_attributes()) {
      if (!has_attribute(op, a.flag)) continue;
      if (const Json* value = reader.find(a.key)) {
        VORTEX_ASSIGN_OR_RETURN(out.*a.member, to_float(reader, a.key, *value));
      }
    }
    if (has_attribute(op, kWeight)) {
      VORTEX_ASSIGN_OR_RETURN(const Json* list, reader.array("weight", kMaxElements));
      for (const Json& item : *list) {
        VORTEX_ASSIGN_OR_RETURN(const float number, to_float(reader, "weight", item));
        out.weight.push_back(number);
      }
    }
    if (has_attribute(op, kNamed)) {
      VORTEX_ASSIGN_OR_RETURN(out.parameter, reader.text("parameter", kMaxNameLength));
    }
    if (has_attribute(op, kField)) {
      VORTEX_ASSIGN_OR_RETURN(const std::string name, reader.text("field", kMaxNameLength));
      const auto field = builder_->graph().find_field(name);
      if (!field || *field < builder_->graph().base_fields())
        return reader.fault(fmt::format("'{}' is not a declared field", name));
      out.field = *field - builder_->graph().base_fields();
    }
    return out;
  }

  Side side_;
  GraphBuilder* builder_;
  std::vector<ValueId> results_;
};

Status read_program(ObjectReader& root, std::string_view key, Side side, GraphBuilder* builder) {
  VORTEX_ASSIGN_OR_RETURN(const Json* nodes, root.array(key, kMaxNodes));
  ProgramReader program(side, builder);
  for (size_t i = 0; i < nodes->size(); ++i)
    VORTEX_RETURN_IF_ERROR(program.add((*nodes)[i], fmt::format("{}: {}[{}]", root.where(), key, i)));
  return {};
}

Result<Graph> read_graph(const Json& json, const std::string& where) {
  ObjectReader root(json, where);
  VORTEX_ASSIGN_OR_RETURN(const std::string format, root.text("format", kMaxNameLength));
  if (format != kFormat) return root.fault(fmt::format("format '{}' is not '{}'", format, kFormat));
  VORTEX_ASSIGN_OR_RETURN(std::string name, root.text("name", kMaxNameLength));
  const Json* shape_json = root.find("shape");
  if (shape_json == nullptr) return root.fault("'shape' is missing");
  VORTEX_ASSIGN_OR_RETURN(const GraphShape shape, read_shape(*shape_json, where));
  VORTEX_ASSIGN_OR_RETURN(const Json* list, root.array("fields", kMaxFields));
  std::vector<FieldDecl> fields;
  for (size_t i = 0; i < list->size(); ++i) {
    VORTEX_ASSIGN_OR_RETURN(FieldDecl field, read_field((*list)[i], fmt::format("{}: fields[{}]", where, i)));
    fields.push_back(std::move(field));
  }
  VORTEX_ASSIGN_OR_RETURN(GraphBuilder builder, GraphBuilder::start(std::move(name), shape, std::move(fields)));
  VORTEX_RETURN_IF_ERROR(read_program(root, "cache", kCache, &builder));
  VORTEX_RETURN_IF_ERROR(read_program(root, "indexer", kIndexer, &builder));
  VORTEX_RETURN_IF_ERROR(root.finish());
  return std::move(builder).finish();
}

}  // namespace

std::string write_json(const Graph& graph) {
  Json out;
  out["format"] = kFormat;
  out["name"] = graph.name;
  out["shape"] = shape_to_json(graph.shape);
  out["fields"] = Json::array();
  for (const FieldDecl& f : graph.fields)
    out["fields"].push_back(
        {{"name", f.name}, {"rows", f.rows}, {"cols", f.cols}, {"storage", storage_name(f.storage)}});
  out["cache"] = nodes_to_json(graph, graph.cache);
  out["indexer"] = nodes_to_json(graph, graph.indexer);
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Graph> read_json(std::string_view text, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(const Json json, parse_object(text, where));
  return read_graph(json, where);
}

std::string write_shape(const GraphShape& shape) {
  Json out = shape_to_json(shape);
  out["scale"] = shape.logit_scale();
  return out.dump();
}

Result<GraphShape> read_shape(std::string_view text, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(const Json json, parse_object(text, where));
  return read_shape(json, where);
}

}  // namespace vortex::flow

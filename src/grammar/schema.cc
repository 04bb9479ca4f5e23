#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "grammar/errors.h"
#include "grammar/formats.h"
#include "grammar/json_text.h"
#include "grammar/number_range.h"
#include "grammar/regex.h"
#include "grammar/schema_json.h"
#include "grammar/schema_members.h"
#include "grammar/schema_merge.h"
#include "grammar/sources.h"

namespace vortex::grammar {
namespace {

constexpr std::array<std::string_view, 7> kTypes = {"object",  "array",   "string", "number",
                                                    "integer", "boolean", "null"};

// Keywords that limit one type only.
struct TypeKeywords {
  std::string_view type;
  std::vector<const char*> keywords;
};
const std::vector<TypeKeywords>& type_keywords() {
  static const std::vector<TypeKeywords> kAll = {
      {"object", {"properties", "required", "additionalProperties"}},
      {"array", {"items", "prefixItems", "minItems", "maxItems"}},
      {"string", {"minLength", "maxLength", "pattern", "format"}},
      {"number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}},
  };
  return kAll;
}

bool is_of_type(const Schema& value, std::string_view type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "number") return value.is_number();
  if (type == "integer") {
    return value.is_number_integer() || (value.is_number_float() && std::trunc(value.get<double>()) == value);
  }
  return type == "boolean" ? value.is_boolean() : value.is_null();
}

class SchemaCompiler {
 public:
  SchemaCompiler(const Schema& document, const Caps& caps)
      : document_(document), caps_(caps), merger_(document, caps), json_(rules_) {}

  Result<RuleSet> run() {
    refer("#", document_);
    while (!waiting_.empty()) {
      const Waiting next = waiting_.front();
      waiting_.pop_front();
      VORTEX_ASSIGN_OR_RETURN(const ExprId body, compile(*next.schema, next.path, 0));
      rules_.define(next.rule, body);
    }
    return std::move(rules_);
  }

 private:
  struct Waiting {
    RuleId rule = 0;
    const Schema* schema = nullptr;
    std::string path;
  };
  using Types = std::vector<std::string_view>;

  // A rule for what a reference names, compiled later: schemas may refer to themselves.
  RuleId refer(const std::string& reference, const Schema& target) {
    const auto [it, is_new] = references_.try_emplace(reference, static_cast<RuleId>(rules_.rules().size()));
    if (is_new) {
      const std::string path = reference == "#" ? "json_schema" : "json_schema: " + shortened(reference);
      waiting_.push_back({rules_.add_rule(path), &target, path});
    }
    return it->second;
  }

  Result<ExprId> compile(const Schema& schema, const std::string& path, int depth) {
    if (depth > caps_.nesting) return refused(path, fmt::format("schemas nest deeper than {}", caps_.nesting));
    VORTEX_RETURN_IF_ERROR(merger_.visit(schema, path));
    if (rules_.rules().size() > caps_.rules) return refused(path, fmt::format("more than {} rules", caps_.rules));
    if (schema == true) return json_.value();
    if (schema == false) return rules_.choice({});
    if (!schema.is_object()) return refused(path, "a schema must be an object, true or false");
    VORTEX_RETURN_IF_ERROR(check_keywords(schema, path));
    if (const Schema* reference = only_reference(schema)) {
      VORTEX_ASSIGN_OR_RETURN(const Schema* target, merger_.resolve(*reference, path));
      return rules_.rule(refer(reference->get<std::string>(), *target));
    }
    if (schema.contains("$ref") || schema.contains("allOf")) {
      VORTEX_ASSIGN_OR_RETURN(const Schema flat, merger_.flat(schema, path));
      return compile(flat, path, depth + 1);
    }
    for (const char* keyword : {"anyOf", "oneOf"}) {
      if (schema.contains(keyword)) return alternatives(schema, keyword, path, depth);
    }
    return plain(schema, path, depth);
  }

  // The $ref of a schema that says nothing else.
  static const Schema* only_reference(const Schema& schema) {
    for (const auto& [keyword, value] : schema.items()) {
      if (keyword != "$ref" && !is_annotation(keyword)) return nullptr;
    }
    return find(schema, "$ref");
  }

  // Each alternative together with what stands beside anyOf. oneOf is taken as anyOf.
  Result<ExprId> alternatives(const Schema& schema, const char* keyword, const std::string& path, int depth) {
    const Schema& list = schema[keyword];
    if (!list.is_array() || list.empty())
      return refused(path, fmt::format("\"{}\" must be a list of schemas", keyword));
    Schema rest = Schema::object();
    for (const auto& [name, value] : schema.items()) {
      if (name != keyword && !is_annotation(name)) rest[name] = value;
    }
    std::vector<ExprId> ways;
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string own_path = fmt::format("{}.{}[{}]", path, keyword, i);
      if (rest.empty()) {
        VORTEX_ASSIGN_OR_RETURN(ways.emplace_back(), compile(list[i], own_path, depth + 1));
        continue;
      }
      VORTEX_ASSIGN_OR_RETURN(const Schema flat, merger_.flat(list[i], own_path));
      VORTEX_ASSIGN_OR_RETURN(const Schema merged, merger_.both(rest, flat, own_path));
      VORTEX_ASSIGN_OR_RETURN(ways.emplace_back(), compile(merged, own_path, depth + 1));
    }
    return rules_.choice(std::move(ways));
  }

  Result<ExprId> plain(const Schema& schema, const std::string& path, int depth) {
    VORTEX_ASSIGN_OR_RETURN(const Types types, types_of(schema, path));
    if (schema.contains("enum") || schema.contains("const")) return constants(schema, types, path);
    if (types.empty()) return json_.value();
    std::vector<ExprId> ways;
    for (std::string_view type : types) {
      VORTEX_ASSIGN_OR_RETURN(ways.emplace_back(), of_type(type, schema, path, depth));
    }
    return rules_.choice(std::move(ways));
  }

  // Without "type": those that the other keywords are about. Empty: all.
  Result<Types> types_of(const Schema& schema, const std::string& path) {
    Types types;
    const Schema* type = find(schema, "type");
    if (type == nullptr) {
      for (const auto& [name, keywords] : type_keywords()) {
        for (const char* keyword : keywords) {
          if (schema.contains(keyword) && (types.empty() || types.back() != name)) types.push_back(name);
        }
      }
      return types;
    }
    const Schema list = type->is_array() ? *type : Schema::array({*type});
    if (list.empty()) return refused(path, "\"type\" must name a type");
    for (const Schema& one : list) {
      const auto known = std::find(kTypes.begin(), kTypes.end(), one.is_string() ? one.get<std::string>() : "");
      if (known == kTypes.end()) return refused(path, fmt::format("\"type\": {} is not known", dumped(*type)));
      types.push_back(*known);
    }
    return types;
  }

  static std::string dumped(const Schema& value) {
    return shortened(value.dump(-1, ' ', false, Schema::error_handler_t::replace));
  }

  Result<ExprId> constants(const Schema& schema, const Types& types, const std::string& path) {
    for (const auto& [keyword, value] : schema.items()) {
      if (keyword != "enum" && keyword != "const" && keyword != "type" && !is_annotation(keyword)) {
        return refused(path, fmt::format("\"{}\" beside \"enum\" or \"const\" is not supported", keyword));
      }
    }
    const Schema* list = find(schema, "enum");
    if (list != nullptr && (!list->is_array() || list->empty())) {
      return refused(path, "\"enum\" must be a list of values");
    }
    const Schema* only = find(schema, "const");
    std::vector<ExprId> ways;
    const Schema all = list != nullptr ? *list : Schema::array({*only});
    for (const Schema& value : all) {
      const auto has_type = [&value](std::string_view type) { return is_of_type(value, type); };
      const bool typed = types.empty() || std::any_of(types.begin(), types.end(), has_type);
      if (typed && (only == nullptr || *only == value)) ways.push_back(json_.constant(value));
    }
    return rules_.choice(std::move(ways));
  }

  Result<ExprId> of_type(std::string_view type, const Schema& schema, const std::string& path, int depth) {
    if (type == "object") return object(schema, path, depth);
    if (type == "array") return array(schema, path, depth);
    if (type == "string") return string(schema, path);
    if (type == "number" || type == "integer") return number(schema, type == "integer", path);
    return type == "boolean" ? json_.boolean() : json_.null();
  }

  Result<ExprId> string(const Schema& schema, const std::string& path) {
    const Schema* pattern = find(schema, "pattern");
    const Schema* format = find(schema, "format");
    VORTEX_ASSIGN_OR_RETURN(const int64_t min, count_of(schema, "minLength", 0, path));
    VORTEX_ASSIGN_OR_RETURN(const int64_t max, count_of(schema, "maxLength", kUnbounded, path));
    if (pattern != nullptr && (format != nullptr || min > 0 || max != kUnbounded)) {
      return refused(path, "\"pattern\" beside \"format\" or a length is not supported", "say it in the pattern");
    }
    if (pattern != nullptr) return matching(*pattern, path);
    if (format != nullptr) return formatted(*format, min, max, path);
    if (max != kUnbounded && max < min) return rules_.choice({});
    return json_.string(min, max);
  }

  Result<ExprId> matching(const Schema& pattern, const std::string& path) {
    if (!pattern.is_string()) return refused(path, "\"pattern\" must be a string");
    return quoted_regex(pattern.get<std::string>(), path + ".pattern", true);
  }

  // A length beside a format is fine where all texts of the format have it.
  Result<ExprId> formatted(const Schema& name, int64_t min, int64_t max, const std::string& path) {
    const auto format = find_format(name.is_string() ? name.get<std::string>() : "");
    if (!format) {
      return refused(path, fmt::format("\"format\": {} is not supported", dumped(name)),
                     fmt::format("supported are {}", fmt::join(format_names(), ", ")));
    }
    if (min > format->shortest || (max != kUnbounded && max < format->longest)) {
      return refused(path, fmt::format("\"format\": {} has {} to {} characters; a tighter length is not supported",
                                       dumped(name), format->shortest, format->longest));
    }
    return quoted_regex(format->pattern, path + ".format", false);
  }

  Result<ExprId> quoted_regex(const std::string& pattern, const std::string& where, bool search) {
    const RegexOptions options = {where, [this](const CharClass& chars) { return json_.spelled(chars); }, search};
    VORTEX_ASSIGN_OR_RETURN(const ExprId body, parse_regex(pattern, options, caps_, rules_));
    return rules_.sequence({rules_.bytes("\""), body, rules_.bytes("\"")});
  }

  Result<ExprId> number(const Schema& schema, bool integer, const std::string& path) {
    NumberRange range;
    range.integer = integer;
    VORTEX_RETURN_IF_ERROR(narrow(schema, "minimum", range.low, false, -1, path));
    VORTEX_RETURN_IF_ERROR(narrow(schema, "exclusiveMinimum", range.low, true, -1, path));
    VORTEX_RETURN_IF_ERROR(narrow(schema, "maximum", range.high, false, 1, path));
    VORTEX_RETURN_IF_ERROR(narrow(schema, "exclusiveMaximum", range.high, true, 1, path));
    if (!range.low && !range.high) return integer ? json_.integer() : json_.number();
    return number_range(rules_, range);
  }

  // `outwards`: which way looser bounds lie.
  static Status narrow(const Schema& schema, const char* keyword, std::optional<Bound>& bound, bool exclusive,
                       int outwards, const std::string& path) {
    const Schema* value = find(schema, keyword);
    if (value == nullptr) return {};
    VORTEX_ASSIGN_OR_RETURN(const Decimal limit, Decimal::of(*value, fmt::format("{}.{}", path, keyword)));
    const int order = bound ? compare(bound->value, limit) * outwards : 1;
    if (order > 0 || (order == 0 && exclusive)) bound = Bound{limit, exclusive};
    return {};
  }

  Result<ExprId> object(const Schema& schema, const std::string& path, int depth) {
    VORTEX_ASSIGN_OR_RETURN(const ObjectShape shape, object_shape(schema, path));
    std::optional<ExprId> other;
    if (shape.other != nullptr && *shape.other != false) {
      VORTEX_ASSIGN_OR_RETURN(other, compile(*shape.other, path + ".additionalProperties", depth + 1));
    }
    std::vector<Member> members;
    std::vector<std::string> names;
    for (const ObjectShape::Member& member : shape.members) {
      const std::string own_path = fmt::format("{}.properties.{}", path, shortened(member.name));
      VORTEX_ASSIGN_OR_RETURN(const ExprId value, compile(*member.schema, own_path, depth + 1));
      members.push_back({json_.member(member.name, value), member.required});
      names.push_back(member.name);
    }
    if (other) other = json_.other_member(names, *other);
    return json_.bracketed('{', member_list(rules_, json_, members, other));
  }

  Result<ExprId> array(const Schema& schema, const std::string& path, int depth) {
    VORTEX_ASSIGN_OR_RETURN(const ArrayShape shape, array_shape(schema, path));
    std::vector<ExprId> first;
    for (size_t i = 0; i < shape.first.size(); ++i) {
      const std::string own_path = fmt::format("{}.prefixItems[{}]", path, i);
      VORTEX_ASSIGN_OR_RETURN(first.emplace_back(), compile(*shape.first[i], own_path, depth + 1));
    }
    std::optional<ExprId> rest;
    if (shape.rest != nullptr && *shape.rest != false) {
      VORTEX_ASSIGN_OR_RETURN(rest, compile(*shape.rest, path + ".items", depth + 1));
    }
    return json_.bracketed('[', item_list(rules_, json_, first, rest, shape.min, shape.max));
  }

  const Schema& document_;
  const Caps& caps_;
  SchemaMerger merger_;
  RuleSet rules_;
  JsonText json_;
  std::unordered_map<std::string, RuleId> references_;
  std::deque<Waiting> waiting_;
};

}  // namespace

Result<RuleSet> rules_of_json_schema(std::string_view schema, const Caps& caps) {
  VORTEX_ASSIGN_OR_RETURN(const Schema document, parse_schema_json(schema, caps));
  return SchemaCompiler(document, caps).run();
}

}  // namespace vortex::grammar

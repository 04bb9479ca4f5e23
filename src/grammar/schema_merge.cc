#include "grammar/schema_merge.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "grammar/errors.h"
#include "grammar/number_range.h"

namespace vortex::grammar {
namespace {

size_t node_count(const Schema& schema) {
  size_t count = 1;
  if (schema.is_structured()) {
    for (const auto& item : schema) count += node_count(item);
  }
  return count;
}

// One step of a JSON pointer, as it stands in a URI.
std::optional<std::string> unescaped(std::string_view step) {
  std::string out;
  for (size_t i = 0; i < step.size(); ++i) {
    if (step[i] == '%') {
      unsigned byte = 0;
      const auto [end, error] =
          std::from_chars(step.data() + i + 1, step.data() + std::min(i + 3, step.size()), byte, 16);
      if (error != std::errc() || end != step.data() + i + 3) return std::nullopt;
      out += static_cast<char>(byte);
      i += 2;
    } else if (step[i] == '~') {
      const char code = i + 1 < step.size() ? step[i + 1] : '\0';
      if (code != '0' && code != '1') return std::nullopt;
      out += code == '0' ? '~' : '/';
      ++i;
    } else {
      out += step[i];
    }
  }
  return out;
}

const Schema* member_of(const Schema& at, const std::string& step) {
  if (at.is_object()) return find(at, step.c_str());
  size_t index = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  const bool is_index = at.is_array() && error == std::errc() && end == step.data() + step.size();
  return is_index && index < at.size() ? &at[index] : nullptr;
}

Schema types_of(const Schema& type) { return type.is_array() ? type : Schema::array({type}); }

bool has(const Schema& list, const Schema& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

// Types of both; an integer is a number, too.
Schema common_types(const Schema& a, const Schema& b) {
  const Schema left = types_of(a), right = types_of(b);
  Schema out = Schema::array();
  for (const Schema& type : left) {
    if (has(right, type) || (type == "integer" && has(right, "number"))) out.push_back(type);
  }
  if (has(left, "number") && has(right, "integer") && !has(out, "integer")) out.push_back("integer");
  return out;
}

Schema common_values(const Schema& a, const Schema& b) {
  Schema out = Schema::array();
  for (const Schema& value : a) {
    if (has(b, value)) out.push_back(value);
  }
  return out;
}

Schema united(Schema a, const Schema& b) {
  for (const Schema& value : b) {
    if (!has(a, value)) a.push_back(value);
  }
  return a;
}

// Properties of both; what both name must match both.
Schema all_properties(Schema a, const Schema& b) {
  for (const auto& [name, schema] : b.items()) {
    const auto it = a.find(name);
    if (it == a.end()) {
      a[name] = schema;
    } else if (*it != schema) {
      *it = Schema::object({{"allOf", Schema::array({*it, schema})}});
    }
  }
  return a;
}

bool is_lower_bound(std::string_view keyword) {
  return keyword == "minimum" || keyword == "exclusiveMinimum" || keyword == "minLength" || keyword == "minItems";
}
bool is_upper_bound(std::string_view keyword) {
  return keyword == "maximum" || keyword == "exclusiveMaximum" || keyword == "maxLength" || keyword == "maxItems";
}

// Objects that both allow: members that only one names would have to match the other's additionalProperties.
Status check_closed(const Schema& a, const Schema& b, std::string_view path) {
  const auto allows_all = [](const Schema& s) {
    const Schema* extra = find(s, "additionalProperties");
    return extra == nullptr || *extra == true;
  };
  const auto names_all = [](const Schema& closed, const Schema& open) {
    const Schema* names = find(open, "properties");
    const Schema* own = find(closed, "properties");
    if (names == nullptr) return true;
    return std::all_of(names->items().begin(), names->items().end(),
                       [&](const auto& item) { return own != nullptr && own->contains(item.key()); });
  };
  if ((allows_all(a) || names_all(a, b)) && (allows_all(b) || names_all(b, a))) return {};
  return refused(path, "\"additionalProperties\" beside members that only another part of allOf names is not supported",
                 "name all members in one schema");
}

}  // namespace

Result<const Schema*> SchemaMerger::resolve(const Schema& reference, std::string_view path) const {
  if (!reference.is_string()) return refused(path, "\"$ref\" must be a string");
  const auto& text = reference.get_ref<const std::string&>();
  if (text != "#" && !text.starts_with("#/")) {
    return refused(path, fmt::format("\"$ref\": \"{}\" is not supported", shortened(text)),
                   "only references inside the schema are: \"#\" or \"#/$defs/name\"");
  }
  const Schema* at = &document_;
  for (std::string_view rest = std::string_view(text).substr(1); at != nullptr && !rest.empty();) {
    rest.remove_prefix(1);
    const size_t end = std::min(rest.find('/'), rest.size());
    const auto step = unescaped(rest.substr(0, end));
    at = step ? member_of(*at, *step) : nullptr;
    rest.remove_prefix(end);
  }
  if (at == nullptr) return refused(path, fmt::format("\"$ref\": \"{}\" names nothing in the schema", shortened(text)));
  return at;
}

Status SchemaMerger::visit(const Schema& schema, std::string_view path) {
  visits_ += node_count(schema);
  if (visits_ <= caps_.schema_visits) return {};
  return refused(path, fmt::format("more than {} values to read, counting again what is merged", caps_.schema_visits),
                 "use $ref instead of allOf");
}

Result<Schema> SchemaMerger::flat(const Schema& schema, std::string_view path) { return flat(schema, path, 0); }

Result<Schema> SchemaMerger::flat(const Schema& schema, std::string_view path, int depth) {
  VORTEX_RETURN_IF_ERROR(visit(schema, path));
  if (schema.is_boolean()) return schema;
  if (!schema.is_object()) return refused(path, "a schema must be an object, true or false");
  if (depth > caps_.nesting) return refused(path, "allOf or $ref go in a circle, or too deep");
  VORTEX_RETURN_IF_ERROR(check_keywords(schema, path));
  Schema out = Schema::object();
  for (const auto& [keyword, value] : schema.items()) {
    if (keyword != "$ref" && keyword != "allOf" && !is_annotation(keyword)) out[keyword] = value;
  }
  const auto take_in = [&](const Schema& part) -> Status {
    VORTEX_ASSIGN_OR_RETURN(const Schema flat_part, flat(part, path, depth + 1));
    VORTEX_ASSIGN_OR_RETURN(out, both(out, flat_part, path));
    return {};
  };
  if (const Schema* reference = find(schema, "$ref")) {
    VORTEX_ASSIGN_OR_RETURN(const Schema* target, resolve(*reference, path));
    VORTEX_RETURN_IF_ERROR(take_in(*target));
  }
  if (const Schema* parts = find(schema, "allOf")) {
    if (!parts->is_array() || parts->empty()) return refused(path, "\"allOf\" must be a list of schemas");
    for (const Schema& part : *parts) VORTEX_RETURN_IF_ERROR(take_in(part));
  }
  return out;
}

Result<Schema> SchemaMerger::both(const Schema& a, const Schema& b, std::string_view path) {
  if (a == false || b == false) return Schema(false);
  if (a == true) return b;
  if (b == true) return a;
  VORTEX_RETURN_IF_ERROR(visit(a, path));
  VORTEX_RETURN_IF_ERROR(visit(b, path));
  VORTEX_RETURN_IF_ERROR(check_closed(a, b, path));
  Schema out = a;
  for (const auto& [keyword, value] : b.items()) {
    Schema& mine = out[keyword];
    if (mine.is_null() || mine == value) {
      mine = value;
    } else if (keyword == "type") {
      mine = common_types(mine, value);
    } else if (keyword == "enum" && mine.is_array() && value.is_array()) {
      mine = common_values(mine, value);
    } else if (keyword == "required" && mine.is_array() && value.is_array()) {
      mine = united(mine, value);
    } else if (keyword == "properties" && mine.is_object() && value.is_object()) {
      mine = all_properties(mine, value);
    } else if (keyword == "additionalProperties" && (mine == true || value == true)) {
      if (mine == true) mine = value;
    } else if (is_lower_bound(keyword) && mine.is_number() && value.is_number()) {
      mine = std::max(mine, value);
    } else if (is_upper_bound(keyword) && mine.is_number() && value.is_number()) {
      mine = std::min(mine, value);
    } else {
      return refused(path, fmt::format("two different values of \"{}\" cannot be combined", keyword),
                     "give it in one part of allOf, or beside anyOf, only");
    }
  }
  return out;
}

}  // namespace vortex::grammar

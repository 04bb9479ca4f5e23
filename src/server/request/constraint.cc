#include "server/request/constraint.h"

namespace vortex::server {
namespace {

using Source = grammar::GrammarSource;
using Kind = Source::Kind;

constexpr size_t kMostChoices = 1024;

Source text_source(Kind kind, std::string text) { return {kind, std::move(text), {}}; }

/// A schema as an object, or as JSON text.
ApiResult<Source> json_source(const std::string& param, const Json& value) {
  if (value.is_object()) return text_source(Kind::kJsonSchema, to_text(value));
  if (value.is_string()) return text_source(Kind::kJsonSchema, value.get<std::string>());
  return invalid_type(param, param + " must be an object, or a string that holds one.");
}

ApiResult<Source> choice_source(const std::string& param, const Json& value) {
  if (!value.is_array() || value.empty() || value.size() > kMostChoices)
    return invalid_value(param, fmt::format("{} must be a list of 1 to {} strings.", param, kMostChoices));
  Source source{Kind::kChoice, "", {}};
  for (const Json& item : value) {
    if (!item.is_string()) return invalid_type(param, param + " must hold strings only.");
    source.choices.push_back(item.get<std::string>());
  }
  return source;
}

ApiResult<Source> string_source(const std::string& param, Kind kind, const Json& value) {
  if (!value.is_string()) return invalid_type(param, param + " must be a string.");
  return text_source(kind, value.get<std::string>());
}

/// `key` is a key of structured_outputs; guided_json and others are the same with their own names.
ApiResult<Source> source_of(const std::string& param, std::string_view key, const Json& value) {
  if (key == "json") return json_source(param, value);
  if (key == "choice") return choice_source(param, value);
  if (key == "regex") return string_source(param, Kind::kRegex, value);
  if (key == "grammar") return string_source(param, Kind::kGbnf, value);
  if (key != "json_object") return unsupported_parameter(param, param + " is not supported.");
  if (!value.is_boolean() || !value.get<bool>()) return invalid_value(param, param + " must be true.");
  return text_source(Kind::kJsonObject, "");
}

ApiResult<std::optional<Source>> from_response_format(const Json& format) {
  const Json& type = member(format, "type");
  if (type == "text") return std::optional<Source>();
  if (type == "json_object") {
    const Json& schema = member(format, "schema");
    if (schema.is_null()) return std::optional(text_source(Kind::kJsonObject, ""));
    VORTEX_ASSIGN_OR_RETURN(Source source, json_source("response_format.schema", schema));
    return std::optional(std::move(source));
  }
  if (type != "json_schema")
    return invalid_value("response_format.type", "response_format.type must be text, json_object or json_schema.");
  const Json& schema = member(member(format, "json_schema"), "schema");
  if (!schema.is_object())
    return missing_parameter("response_format.json_schema.schema",
                             "response_format.json_schema.schema must be an object.");
  return std::optional(text_source(Kind::kJsonSchema, to_text(schema)));
}

}  // namespace

ApiResult<std::optional<Source>> read_constraint(const Fields& fields) {
  std::vector<Source> found;
  const auto add = [&](const std::string& param, std::string_view key, const Json& value) -> ApiStatus {
    if (value.is_null()) return {};
    VORTEX_ASSIGN_OR_RETURN(Source source, source_of(param, key, value));
    found.push_back(std::move(source));
    return {};
  };
  if (const Json& format = fields["response_format"]; !format.is_null()) {
    VORTEX_ASSIGN_OR_RETURN(auto source, from_response_format(format));
    if (source) found.push_back(std::move(*source));
  }
  if (const Json& outputs = fields["structured_outputs"]; !outputs.is_null())
    for (const auto& [key, value] : outputs.items())
      VORTEX_RETURN_IF_ERROR(add("structured_outputs." + key.substr(0, 64), key, value));
  for (const char* kind : {"json", "regex", "choice", "grammar"}) {
    const std::string name = std::string("guided_") + kind;
    VORTEX_RETURN_IF_ERROR(add(name, kind, fields[name]));
  }
  VORTEX_RETURN_IF_ERROR(add("grammar", "grammar", fields["grammar"]));
  if (found.size() > 1)
    return invalid_value("structured_outputs",
                         "More than one of response_format, structured_outputs, guided_* and grammar; give one.");
  if (found.empty()) return std::optional<Source>();
  return std::optional(std::move(found.front()));
}

}  // namespace vortex::server

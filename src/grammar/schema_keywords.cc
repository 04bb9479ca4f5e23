#include "grammar/schema_keywords.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/nearest_name.h"
#include "grammar/errors.h"

namespace vortex::grammar {
namespace {

constexpr std::string_view kAnnotations[] = {
    "$anchor",      "$comment",   "$defs",       "$id",           "$schema",   "default",
    "definitions",  "deprecated", "description", "discriminator", "example",   "examples",
    "externalDocs", "id",         "readOnly",    "title",         "writeOnly",
};

constexpr std::string_view kSupported[] = {
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "oneOf",
    "pattern",
    "prefixItems",
    "properties",
    "required",
    "type",
};

template <size_t N>
bool contains(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

bool is_annotation(std::string_view keyword) { return contains(kAnnotations, keyword) || keyword.starts_with("x-"); }

Status check_keywords(const Schema& schema, std::string_view path) {
  for (const auto& [keyword, value] : schema.items()) {
    if (is_annotation(keyword) || contains(kSupported, keyword)) continue;
    return refused(path, fmt::format("the keyword \"{}\" is not supported", shortened(keyword)),
                   "leave it out, or say it with the keywords of docs/structured-output.md");
  }
  return {};
}

const Schema* find(const Schema& schema, const char* keyword) {
  const auto it = schema.find(keyword);
  return it == schema.end() ? nullptr : &*it;
}

Result<int64_t> count_of(const Schema& schema, const char* keyword, int64_t fallback, std::string_view path) {
  const Schema* value = find(schema, keyword);
  if (value == nullptr) return fallback;
  constexpr uint64_t kMost = 1'000'000'000'000;
  if (!value->is_number_unsigned() || value->get<uint64_t>() > kMost) {
    return refused(path, fmt::format("\"{}\" must be a whole number from 0 to {}", keyword, kMost));
  }
  return value->get<int64_t>();
}

}  // namespace vortex::grammar

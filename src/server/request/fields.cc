#include "server/request/fields.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace vortex::server {
namespace {

constexpr double kExactIntegers = 9'007'199'254'740'992;  // 2^53

std::string shown(const Json& value) {
  constexpr size_t kMost = 60;
  std::string text = to_text(value);
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

ApiError wrong_type(const std::string& where, unsigned types, const Json& value) {
  return invalid_type(where, fmt::format("{} must be {}, not {}.", where, type_words(types), shown(value)));
}

std::string number_text(double value) { return fmt::format("{}", value); }

ApiStatus check_range(const FieldSpec& field, const Json& value) {
  if (!field.range || !value.is_number()) return {};
  const double number = value.get<double>();
  if (number >= field.range->low && number <= field.range->high) return {};
  return invalid_value(std::string(field.name),
                       fmt::format("{} must be from {} to {}, not {}.", field.name, number_text(field.range->low),
                                   number_text(field.range->high), shown(value)));
}

ApiStatus check_size(const FieldSpec& field, const Json& value) {
  const char* unit = value.is_string() ? "bytes" : value.is_array() ? "items" : "keys";
  if (!value.is_string() && !value.is_structured()) return {};
  const size_t size = value.is_string() ? value.get_ref<const std::string&>().size() : value.size();
  const std::string name(field.name);
  if (size > field.max_size)
    return invalid_value(name, fmt::format("{} has {} {}; at most {} are allowed.", name, size, unit, field.max_size));
  if (size < field.min_size)
    return invalid_value(name, fmt::format("{} has {} {}; at least {} needed.", name, size, unit, field.min_size));
  return {};
}

ApiStatus check_items(const FieldSpec& field, const Json& value) {
  if (!value.is_array() || field.items == kAnyType) return {};
  for (size_t i = 0; i < value.size(); ++i)
    if ((json_types(value[i]) & field.items) == 0)
      return invalid_type(std::string(field.name), fmt::format("{}[{}] must be {}, not {}.", field.name, i,
                                                               type_words(field.items), shown(value[i])));
  return {};
}

ApiStatus check_choice(const FieldSpec& field, const Json& value) {
  if (field.choices.empty() || !value.is_string()) return {};
  const auto& text = value.get_ref<const std::string&>();
  if (std::find(field.choices.begin(), field.choices.end(), text) != field.choices.end()) return {};
  return invalid_value(std::string(field.name), fmt::format("{} must be one of {}, not {}.", field.name,
                                                            fmt::join(field.choices, ", "), shown(value)));
}

ApiStatus check_supported(const FieldSpec& field, const Json& value) {
  const std::string name(field.name);
  if (field.support == Support::kRefused)
    return unsupported_parameter(name, fmt::format("{} is not supported by this server; leave it out.", name));
  if (field.support != Support::kOnly) return {};
  const std::string text = to_text(value);
  if (std::find(field.accepted.begin(), field.accepted.end(), text) != field.accepted.end()) return {};
  return unsupported_parameter(
      name, fmt::format("{} is supported only as {}, not {}.", name, fmt::join(field.accepted, " or "), shown(value)));
}

ApiStatus check_value(const FieldSpec& field, const Json& value) {
  if (field.support == Support::kRefused) return check_supported(field, value);
  if ((json_types(value) & field.types) == 0) return wrong_type(std::string(field.name), field.types, value);
  VORTEX_RETURN_IF_ERROR(check_range(field, value));
  VORTEX_RETURN_IF_ERROR(check_size(field, value));
  VORTEX_RETURN_IF_ERROR(check_items(field, value));
  VORTEX_RETURN_IF_ERROR(check_choice(field, value));
  return check_supported(field, value);
}

const Json& null_value() {
  static const Json kNull;
  return kNull;
}

}  // namespace

unsigned json_types(const Json& value) {
  if (value.is_boolean()) return kBool;
  if (value.is_number()) return kNumber | (as_integer(value) ? kInteger : 0u);
  if (value.is_string()) return kString;
  if (value.is_array()) return kArray;
  return value.is_object() ? kObject : 0u;
}

std::optional<int64_t> as_integer(const Json& value) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}) return std::nullopt;
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  if (std::trunc(number) != number || std::abs(number) > kExactIntegers) return std::nullopt;
  return static_cast<int64_t>(number);
}

std::string type_words(unsigned types) {
  constexpr std::pair<unsigned, const char*> kWords[] = {{kBool, "a boolean"},  {kInteger, "a 64-bit integer"},
                                                         {kNumber, "a number"}, {kString, "a string"},
                                                         {kArray, "an array"},  {kObject, "an object"}};
  std::vector<std::string_view> words;
  for (const auto& [bit, word] : kWords)
    if (types & bit) words.push_back(word);
  return fmt::format("{}", fmt::join(words, " or "));
}

const FieldSpec* Schema::find(std::string_view field) const {
  const auto it = std::find_if(fields.begin(), fields.end(), [&](const FieldSpec& f) { return f.name == field; });
  return it == fields.end() ? nullptr : &*it;
}

ApiResult<Fields> Fields::check(const Schema& schema, Json body, bool strict) {
  if (!body.is_object()) return invalid_type("", "The body must be a JSON object.");
  Fields fields(schema, std::move(body));
  for (const auto& [name, value] : fields.body_.items()) {
    const FieldSpec* const field = schema.find(name);
    if (field == nullptr) {
      ++fields.unknown_;
      if (strict)
        return ApiError{400, "unknown_parameter", fmt::format("'{}' is not a known field.", name.substr(0, 64)),
                        name.substr(0, 64)};
    } else if (!value.is_null()) {
      VORTEX_RETURN_IF_ERROR(check_value(*field, value));
    }
  }
  for (const FieldSpec& field : schema.fields)
    if (field.required && !fields.has(field.name))
      return missing_parameter(std::string(field.name), fmt::format("{} is required.", field.name));
  return fields;
}

const Json& Fields::operator[](std::string_view name) const {
  VORTEX_CHECK(schema_->find(name) != nullptr, "no field {} in {}", name, schema_->name);
  const auto it = body_.find(std::string(name));
  return it == body_.end() ? null_value() : *it;
}

bool Fields::has(std::string_view name) const { return !(*this)[name].is_null(); }

bool Fields::flag(std::string_view name, bool fallback) const {
  const Json& value = (*this)[name];
  return value.is_null() ? fallback : value.get<bool>();
}

int64_t Fields::integer(std::string_view name, int64_t fallback) const {
  return as_integer((*this)[name]).value_or(fallback);
}

double Fields::number(std::string_view name, double fallback) const {
  const Json& value = (*this)[name];
  return value.is_null() ? fallback : value.get<double>();
}

std::string Fields::text(std::string_view name, std::string_view fallback) const {
  const Json& value = (*this)[name];
  return value.is_null() ? std::string(fallback) : value.get<std::string>();
}

std::vector<std::string> Fields::strings(std::string_view name) const {
  const Json& value = (*this)[name];
  if (value.is_string()) return {value.get<std::string>()};
  return value.is_null() ? std::vector<std::string>() : value.get<std::vector<std::string>>();
}

std::vector<int64_t> Fields::integers(std::string_view name) const {
  std::vector<int64_t> out;
  for (const Json& item : (*this)[name]) out.push_back(as_integer(item).value_or(0));
  return out;
}

}  // namespace vortex::server

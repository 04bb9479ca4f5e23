#include "loader/hf_fields.h"

#include <algorithm>

namespace vortex {
namespace {

using nlohmann::json;

bool is_int64(const json& value) {
  return value.is_number_integer() &&
         !(value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX));
}

FieldValue list(const json& items) {
  if (std::all_of(items.begin(), items.end(), is_int64)) return items.get<std::vector<int64_t>>();
  if (std::all_of(items.begin(), items.end(), [](const json& item) { return item.is_string(); })) {
    return items.get<std::vector<std::string>>();
  }
  return OtherList{};
}

FieldObject object_names(const json& object) {
  FieldObject out;
  for (const auto& [name, value] : object.items()) out.names.push_back(name);
  return out;
}

FieldValue value_of(const json& value) {
  if (value.is_null()) return std::monostate{};
  if (value.is_boolean()) return value.get<bool>();
  if (is_int64(value)) return value.get<int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object()) return object_names(value);
  return list(value);
}

FieldValue field(const json& object, std::string_view path) {
  const size_t dot = path.find('.');
  const auto it = object.find(std::string(path.substr(0, dot)));
  if (it == object.end()) return std::monostate{};
  if (dot == std::string_view::npos) return value_of(*it);
  return it->is_object() ? field(*it, path.substr(dot + 1)) : std::monostate{};
}

}  // namespace

ConfigFields hf_fields(const json& object, const std::string& where) {
  return ConfigFields([&object](std::string_view path) { return field(object, path); }, where, {});
}

}  // namespace vortex

#include "text/jinja/import_json.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "text/jinja/fault.h"

namespace vortex::text::jinja {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxJsonDepth = 64;
constexpr std::array<std::string_view, 12> kRoles = {"system",    "user",     "assistant",   "tool",
                                                     "developer", "function", "document",    "documents",
                                                     "model",     "ipython",  "environment", "context"};

enum class Trust { kNone, kRole, kAll };

Value import_value(const Json& json, Trust trust, int depth);

bool is_trusted(const std::string& text, Trust trust) {
  if (trust == Trust::kRole) return std::find(kRoles.begin(), kRoles.end(), text) != kRoles.end();
  return trust == Trust::kAll;
}

MarkedString import_string(const std::string& text, Trust trust) {
  return is_trusted(text, trust) ? MarkedString::trusted(text) : MarkedString::untrusted(text);
}

Value import_integer(const Json& json) {
  if (json.is_number_unsigned() && json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    fail("the integer {} of the inputs does not fit 64 bits", json.get<uint64_t>());
  }
  return json.get<int64_t>();
}

Value import_array(const Json& json, int depth) {
  std::vector<Value> items;
  items.reserve(json.size());
  for (const Json& item : json) items.push_back(import_value(item, Trust::kNone, depth + 1));
  return make_list(std::move(items));
}

Value import_object(const Json& json, int depth) {
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, item] : json.items()) {
    dict->set(MarkedString::untrusted(key), import_value(item, Trust::kNone, depth + 1));
  }
  return DictPtr(std::move(dict));
}

Value import_value(const Json& json, Trust trust, int depth) {
  if (depth > kMaxJsonDepth) fail("the inputs are nested more than {} deep", kMaxJsonDepth);
  if (json.is_string()) return import_string(json.get_ref<const std::string&>(), trust);
  if (json.is_array()) return import_array(json, depth);
  if (json.is_object()) return import_object(json, depth);
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return import_integer(json);
  if (json.is_number_float()) return json.get<double>();
  return None{};
}

Value import_message(const Json& json) {
  if (!json.is_object()) return import_value(json, Trust::kNone, 2);
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, item] : json.items()) {
    dict->set(MarkedString::untrusted(key), import_value(item, key == "role" ? Trust::kRole : Trust::kNone, 3));
  }
  return DictPtr(std::move(dict));
}

Value import_messages(const Json& json) {
  if (!json.is_array()) return import_value(json, Trust::kNone, 1);
  std::vector<Value> messages;
  messages.reserve(json.size());
  for (const Json& message : json) messages.push_back(import_message(message));
  return make_list(std::move(messages));
}

}  // namespace

Dict import_inputs(const Json& inputs) {
  if (!inputs.is_object()) fail("the inputs of a chat template must be an object");
  Dict dict;
  for (const auto& [key, item] : inputs.items()) {
    const Trust trust = key.ends_with("_token") ? Trust::kAll : Trust::kNone;
    dict.set(Value::string(key), key == "messages" ? import_messages(item) : import_value(item, trust, 1));
  }
  return dict;
}

}  // namespace vortex::text::jinja

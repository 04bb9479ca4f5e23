// tool_choice "required": the answer is a JSON list of calls.
#include <utility>

#include "server/parsers/tool_parsers.h"

namespace vortex::server {
namespace {

using nlohmann::ordered_json;

// References are from the root of their schema; the schema is moved to `root`. Members of `properties` are names, not
// keywords; what const and enum hold is data.
void move_references(ordered_json& schema, const std::string& root) {
  if (schema.is_array()) {
    for (ordered_json& item : schema) move_references(item, root);
  }
  if (!schema.is_object()) return;
  for (auto& [keyword, value] : schema.items()) {
    if (keyword == "const" || keyword == "enum" || keyword == "default" || keyword == "examples") continue;
    if (keyword == "$ref" && value.is_string()) {
      const auto& reference = value.get_ref<const std::string&>();
      if (reference.starts_with("#")) value = root + reference.substr(1);
    } else {
      move_references(value, root);
    }
  }
}

ordered_json arguments_of(const ordered_json& function) {
  const auto it = function.find("parameters");
  if (it != function.end() && it->is_object()) return *it;
  return {{"type", "object"}, {"additionalProperties", false}};
}

class ForcedCallsParser final : public CallParser {
 public:
  using CallParser::CallParser;

 private:
  // Brackets, commas and white space of the list.
  Taken outside(char c, OutputPieces& out) override {
    if (!broken_ && c == '{') {
      begin_call();
      return Taken::kAgain;
    }
    if (broken_) out.content += c;
    return Taken::kYes;
  }

  std::string take_prefix() override { return {}; }
  void call_broke() override { broken_ = true; }
  void end_outside(OutputPieces&) override {}

  bool broken_ = false;
};

}  // namespace

std::string forced_calls_schema(const ordered_json& tools, bool parallel) {
  ordered_json definitions = ordered_json::object(), calls = ordered_json::array();
  for (const ordered_json& tool : tools) {
    const ordered_json& function = tool.at("function");
    const std::string name = "tool" + std::to_string(definitions.size());
    const std::string root = "#/$defs/" + name;
    ordered_json arguments = arguments_of(function);
    move_references(arguments, root);
    definitions[name] = std::move(arguments);
    calls.push_back({{"type", "object"},
                     {"properties", {{"name", {{"const", function.at("name")}}}, {"parameters", {{"$ref", root}}}}},
                     {"required", {"name", "parameters"}},
                     {"additionalProperties", false}});
  }
  ordered_json schema = {{"type", "array"}, {"minItems", 1}, {"items", {{"anyOf", calls}}}, {"$defs", definitions}};
  if (!parallel) schema["maxItems"] = 1;
  return schema.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::unique_ptr<OutputParser> make_forced_calls_parser(std::function<std::string()> new_call_id) {
  return std::make_unique<ForcedCallsParser>(std::move(new_call_id));
}

}  // namespace vortex::server

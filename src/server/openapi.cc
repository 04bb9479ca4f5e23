#include "server/openapi.h"

#include "server/request/field_tables.h"

namespace vortex::server {
namespace {

constexpr std::string_view kError = R"({"type": "object", "required": ["error"], "properties": {"error": {
  "type": "object", "required": ["message", "type", "param", "code"], "properties": {"message": {"type": "string"},
  "type": {"type": "string"}, "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}})";
constexpr std::string_view kUsage = R"({"type": "object", "required": ["prompt_tokens", "completion_tokens",
  "total_tokens"], "properties": {"prompt_tokens": {"type": "integer"}, "completion_tokens": {"type": "integer"},
  "total_tokens": {"type": "integer"}, "prompt_tokens_details": {"type": "object", "properties": {
  "cached_tokens": {"type": "integer"}}}}})";
constexpr std::string_view kCompletion = R"({"type": "object", "required": ["id", "object", "created", "model",
  "choices", "usage"], "properties": {"id": {"type": "string"}, "object": {"type": "string"},
  "created": {"type": "integer"}, "model": {"type": "string"}, "choices": {"type": "array", "items": {
  "type": "object", "required": ["index", "finish_reason"]}}, "usage": {"$ref": "#/components/schemas/Usage"}}})";
constexpr std::string_view kTokens = R"({"type": "object", "required": ["count", "max_model_len", "tokens"],
  "properties": {"count": {"type": "integer"}, "max_model_len": {"type": "integer"}, "tokens": {"type": "array"}}})";
// What readers of a description take an event of a stream for.
constexpr std::string_view kEvent = R"({"type": "object", "required": ["data"], "properties": {
  "data": {"type": "string"}}})";
constexpr std::string_view kText = R"({"type": "object", "required": ["prompt"], "properties": {
  "prompt": {"type": "string"}}})";

Json reference(std::string_view name) { return {{"$ref", fmt::format("#/components/schemas/{}", name)}}; }

Json type_names(unsigned types) {
  constexpr std::pair<unsigned, const char*> kNames[] = {{kBool, "boolean"},    {kNumber, "number"},
                                                         {kInteger, "integer"}, {kString, "string"},
                                                         {kArray, "array"},     {kObject, "object"}};
  Json names = Json::array();
  for (const auto& [bit, name] : kNames)
    if (types & bit) names.push_back(name);
  return names;
}

void add_limits(const FieldSpec& field, Json* schema) {
  if (field.range) {
    (*schema)["minimum"] = field.range->low;
    (*schema)["maximum"] = field.range->high;
  }
  const bool sized = field.max_size != FieldSpec::kNoLimit;
  for (const auto& [bit, least, most] :
       {std::tuple(kString, "minLength", "maxLength"), std::tuple(kArray, "minItems", "maxItems"),
        std::tuple(kObject, "minProperties", "maxProperties")}) {
    if ((field.types & bit) == 0) continue;
    if (field.min_size > 0) (*schema)[least] = field.min_size;
    // Ours counts bytes, JSON schema characters of up to 4.
    if (sized) (*schema)[most] = bit == kString ? field.max_size / 4 : field.max_size;
  }
}

Json value_schema(const FieldSpec& field) {
  if (!field.schema.empty()) return Json::parse(field.schema);
  if (field.support == Support::kOnly) {
    Json values = Json::array();
    for (const std::string_view text : field.accepted) values.push_back(Json::parse(text));
    return {{"enum", std::move(values)}};
  }
  if (!field.choices.empty()) return {{"enum", field.choices}};
  Json schema = {{"type", type_names(field.types)}};
  if ((field.types & kArray) != 0 && field.items != kAnyType) schema["items"] = {{"type", type_names(field.items)}};
  add_limits(field, &schema);
  return schema;
}

/// Null stands for absence wherever a field may be absent.
Json field_schema(const FieldSpec& field) {
  if (field.support == Support::kRefused)
    return {{"type", "null"}, {"description", fmt::format("Not supported. {}", field.doc)}, {"deprecated", true}};
  Json schema = value_schema(field);
  if (!field.required) schema = {{"anyOf", {std::move(schema), {{"type", "null"}}}}};
  std::string text(field.doc);
  if (field.support == Support::kNoEffect) text += " Without effect.";
  if (!field.default_text.empty()) text += fmt::format(" Default: {}.", field.default_text);
  schema["description"] = std::move(text);
  return schema;
}

Json request_schema(const Schema& table) {
  Json properties = Json::object(), required = Json::array();
  for (const FieldSpec& field : table.fields) {
    properties[std::string(field.name)] = field_schema(field);
    if (field.required) required.push_back(field.name);
  }
  Json schema = {{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

Json content_of(Json schema, const char* type = "application/json") {
  return {{"content", {{type, {{"schema", std::move(schema)}}}}}};
}

Json responses(Json success) {
  Json out = {{"200", std::move(success)}};
  Json error = content_of(reference("Error"));
  error["description"] = "An error.";
  out["default"] = std::move(error);
  return out;
}

Json post(const char* summary, std::string_view request, std::string_view response, bool streams) {
  Json success = content_of(reference(response));
  success["description"] = "The answer.";
  if (streams) success["content"]["text/event-stream"] = {{"schema", Json::parse(kEvent)}};
  Json body = content_of(reference(request));
  body["required"] = true;
  return {
      {"post", {{"summary", summary}, {"requestBody", std::move(body)}, {"responses", responses(std::move(success))}}}};
}

Json get(const char* summary, const char* type = "application/json") {
  const bool json = std::string_view(type) == "application/json";
  Json success = content_of({{"type", json ? "object" : "string"}}, type);
  success["description"] = "The answer.";
  return {{"get", {{"summary", summary}, {"responses", responses(std::move(success))}}}};
}

Json paths() {
  return {{"/v1/chat/completions", post("Answer a conversation", "CreateChatCompletionRequest", "Completion", true)},
          {"/v1/completions", post("Continue a text", "CreateCompletionRequest", "Completion", true)},
          {"/tokenize", post("Text to token ids", "TokenizeRequest", "Tokens", false)},
          {"/detokenize", post("Token ids to text", "DetokenizeRequest", "Text", false)},
          {"/v1/models", get("The models that are served")},
          {"/health", get("Whether requests are taken")},
          {"/health/live", get("Whether the process lives")},
          {"/health/ready", get("As /health")},
          {"/health_generate", get("Makes one token")},
          {"/ping", get("As /health")},
          {"/version", get("The program's version")},
          {"/metrics", get("Counters for Prometheus", "text/plain")}};
}

}  // namespace

std::string openapi_text(const std::string& version) {
  Json schemas = Json::object();
  for (const Schema* table : {&chat_schema(), &completion_schema(), &tokenize_schema(), &detokenize_schema()})
    schemas[std::string(table->name)] = request_schema(*table);
  for (const auto& [name, text] : {std::pair("Error", kError),
                                   {"Usage", kUsage},
                                   {"Completion", kCompletion},
                                   {"Tokens", kTokens},
                                   {"Text", kText}})
    schemas[name] = Json::parse(text);
  const Json document = {
      {"openapi", "3.1.0"},
      {"info", {{"title", "Vortex"}, {"version", version}, {"description", "The OpenAI API of vortex serve."}}},
      {"paths", paths()},
      {"components",
       {{"schemas", std::move(schemas)}, {"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}},
      {"security", Json::array({Json::object(), Json{{"key", Json::array()}}})}};
  return to_text(document);
}

}  // namespace vortex::server

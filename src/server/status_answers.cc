#include "server/status_answers.h"

#include "server/request/json_text.h"
#include "server/response/error_answer.h"

namespace vortex::server {
namespace {

HttpResponse json_answer(const Json& value) { return {.body = to_text(value)}; }

Json model_json(const RequestContext& context, const std::string& name, int64_t created) {
  return {{"id", name},
          {"object", "model"},
          {"created", created},
          {"owned_by", "vortex"},
          {"root", context.model_names.front()},
          {"parent", nullptr},
          {"max_model_len", context.max_model_len}};
}

}  // namespace

HttpResponse models_answer(const RequestContext& context, int64_t created) {
  Json data = Json::array();
  for (const std::string& name : context.model_names) data.push_back(model_json(context, name, created));
  return json_answer({{"object", "list"}, {"data", std::move(data)}});
}

HttpResponse model_answer(const RequestContext& context, const std::string& name, int64_t created) {
  return json_answer(model_json(context, name, created));
}

HttpResponse version_answer() { return json_answer({{"version", VORTEX_VERSION}}); }

HttpResponse root_answer() {
  return json_answer({{"name", "vortex"},
                      {"version", VORTEX_VERSION},
                      {"api", "/v1/chat/completions, /v1/completions, /v1/models"},
                      {"description", "/openapi.json"},
                      {"metrics", "/metrics"}});
}

HttpResponse status_ok() { return {.body = R"({"status":"ok"})"}; }

HttpResponse not_built_answer(const std::string& path) {
  return error_answer(not_supported("", path + " is not built into this server."));
}

}  // namespace vortex::server

#include "cli/serve_options.h"

#include <algorithm>
#include <filesystem>

#include "cli/config_file.h"

namespace vortex::cli {
namespace {

/// The non-empty pieces between separators, without the space around them.
std::vector<std::string> split(const std::string& text, char separator) {
  constexpr const char* kSpace = " \t\r";
  std::vector<std::string> pieces;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    const std::string piece = text.substr(begin, end - begin);
    const size_t first = piece.find_first_not_of(kSpace);
    if (first != std::string::npos) pieces.push_back(piece.substr(first, piece.find_last_not_of(kSpace) - first + 1));
    begin = end + 1;
  }
  return pieces;
}

Result<std::vector<std::string>> keys(const Settings& settings, const char* key, const char* key_file) {
  std::vector<std::string> found;
  if (const std::string& given = settings.get_string(key); !given.empty()) found.push_back(given);
  if (const std::string& file = settings.get_string(key_file); !file.empty()) {
    VORTEX_ASSIGN_OR_RETURN(const std::string text, read_config_file(file));
    const std::vector<std::string> lines = split(text, '\n');
    if (lines.empty()) return Error{ErrorCode::kConfiguration, file, "holds no key", "write one key a line"};
    found.insert(found.end(), lines.begin(), lines.end());
  }
  return found;
}

/// "models/recall-gqa/" is served as "recall-gqa" too; a path is no name that clients should have to know.
std::vector<std::string> model_names(const Settings& settings, const std::string& model) {
  std::vector<std::string> names;
  for (std::string& name : split(settings.get_string("served-model-name"), ',')) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  if (!names.empty()) return names;
  std::error_code ignored;
  if (!std::filesystem::exists(model, ignored)) return {model};
  std::filesystem::path path = std::filesystem::weakly_canonical(model, ignored);
  return {path.filename().empty() ? model : path.filename().string()};
}

}  // namespace

Result<server::HttpOptions> http_options(const Settings& settings) {
  server::HttpOptions options;
  options.host = settings.get_string("host");
  options.port = static_cast<int>(settings.get_int("port"));
  options.uds = settings.get_string("uds");
  options.tls_cert = settings.get_string("ssl-certfile");
  options.tls_key = settings.get_string("ssl-keyfile");
  options.limits.connections = settings.get_int("max-connections");
  options.limits.body_bytes = settings.get_int("max-request-bytes");
  options.allowed_origins = split(settings.get_string("allowed-origins"), ',');
  VORTEX_ASSIGN_OR_RETURN(options.api_keys, keys(settings, "api-key", "api-key-file"));
  VORTEX_ASSIGN_OR_RETURN(options.admin_keys, keys(settings, "admin-api-key", "admin-api-key-file"));
  return options;
}

Result<server::ApiOptions> api_options(const Settings& settings, const std::string& model,
                                       std::optional<int64_t> max_topk) {
  server::ApiOptions options;
  options.model_names = model_names(settings, model);
  options.tokenizer_info = settings.get_bool("enable-tokenizer-info-endpoint");
  options.engine_timeout_s = settings.get_float("engine-timeout");
  server::RequestLimits& limits = options.limits;
  limits.max_logprobs = settings.get_int("max-logprobs");
  limits.max_n = settings.get_int("max-n");
  limits.max_sequences = settings.get_int("max-num-seqs") + settings.get_int("max-num-queued-reqs");
  limits.strict_fields = settings.get_bool("strict-fields");
  limits.request_budgets = settings.get_bool("allow-request-budgets");
  limits.max_topk = max_topk;
  server::ServiceOptions& service = options.service;
  service.max_num_seqs = settings.get_int("max-num-seqs");
  service.max_num_queued_tokens = settings.get_int("max-num-queued-tokens");
  service.queue_timeout_s = settings.get_float("queue-timeout");
  service.workers = static_cast<int>(settings.get_int("api-workers"));
  service.log_requests = settings.get_bool("log-requests");
  service.tool_call_parser = settings.get_string("tool-call-parser");
  service.reasoning_parser = settings.get_string("reasoning-parser");
  return options;
}

}  // namespace vortex::cli

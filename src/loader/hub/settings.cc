#include "loader/hub/settings.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>

#include "base/files.h"

namespace vortex::hub {
namespace fs = std::filesystem;

namespace {

// Set-but-empty variables count as unset, as in huggingface_hub and the XDG rules.
std::string first_set(Environment environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = environment(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

std::string home_folder(Environment environment) {
  std::string home = first_set(environment, {"HOME"});
  if (!home.empty()) return home;
  const passwd* user = ::getpwuid(::getuid());
  return user != nullptr ? user->pw_dir : "/";
}

fs::path expand_home(const std::string& path, const std::string& home) {
  if (path == "~") return home;
  return path.starts_with("~/") ? fs::path(home) / path.substr(2) : fs::path(path);
}

bool is_true(std::string value) {
  std::transform(value.begin(), value.end(), value.begin(), [](unsigned char c) { return std::toupper(c); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

int seconds_or(const std::string& text, int fallback) {
  int value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool valid = failure == std::errc() && end == text.data() + text.size() && value >= 1 && value <= 3600;
  return valid ? value : fallback;
}

Result<std::string> read_token(Environment environment, const fs::path& hf_home) {
  std::string token = first_set(environment, {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"});
  if (token.empty()) {
    const auto file = read_small_file(hf_home / "token", 4096);
    if (file.ok()) token = *file;
  }
  token = trimmed(token);
  const bool printable = std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (printable) return token;
  return Error{ErrorCode::kConfiguration, "HF_TOKEN", "the token holds characters that no HTTP header may carry",
               "copy it again from the hub's settings page"};
}

Result<std::string> read_endpoint(Environment environment, std::string fallback) {
  std::string endpoint = trimmed(first_set(environment, {"HF_ENDPOINT"}));
  if (endpoint.empty()) return fallback;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (endpoint.starts_with("https://") || endpoint.starts_with("http://")) return endpoint;
  return Error{ErrorCode::kConfiguration, "HF_ENDPOINT", fmt::format("'{}' is not an http or https address", endpoint),
               "write it as https://host"};
}

}  // namespace

Result<HubSettings> read_hub_settings(Environment environment) {
  HubSettings settings;
  const std::string home = home_folder(environment);
  const auto folder = [&](std::initializer_list<const char*> names, const fs::path& fallback) {
    const std::string value = first_set(environment, names);
    return value.empty() ? fallback : expand_home(value, home);
  };
  const fs::path cache = folder({"XDG_CACHE_HOME"}, fs::path(home) / ".cache");
  const fs::path hf_home = folder({"HF_HOME"}, cache / "huggingface");
  settings.hf_cache = folder({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}, hf_home / "hub");
  settings.vortex_cache = folder({"VORTEX_CACHE_DIR"}, cache / "vortex");
  settings.models_dir = folder({"VORTEX_MODELS_DIR"}, {});
  VORTEX_ASSIGN_OR_RETURN(settings.endpoint, read_endpoint(environment, settings.endpoint));
  VORTEX_ASSIGN_OR_RETURN(settings.token, read_token(environment, hf_home));
  settings.ca_file = first_set(environment, {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"});
  settings.python = first_set(environment, {"VORTEX_PYTHON"});
  settings.offline = is_true(first_set(environment, {"HF_HUB_OFFLINE"}));
  settings.connect_timeout_s = seconds_or(first_set(environment, {"HF_HUB_ETAG_TIMEOUT"}), settings.connect_timeout_s);
  settings.stall_timeout_s = seconds_or(first_set(environment, {"HF_HUB_DOWNLOAD_TIMEOUT"}), settings.stall_timeout_s);
  return settings;
}

Result<HubSettings> read_hub_settings() {
  return read_hub_settings([](const char* name) -> const char* { return std::getenv(name); });
}

}  // namespace vortex::hub

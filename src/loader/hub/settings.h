// Where models are kept, who asks and from where: read once from the environment, then passed along.
#pragma once

#include <filesystem>
#include <string>

#include "base/function_ref.h"
#include "base/result.h"

namespace vortex::hub {

struct HubSettings {
  std::filesystem::path hf_cache;      // HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, XDG or ~/.cache
  std::filesystem::path vortex_cache;  // VORTEX_CACHE_DIR, $XDG_CACHE_HOME/vortex or ~/.cache/vortex
  std::filesystem::path models_dir;    // VORTEX_MODELS_DIR, else where shipped models were found; may be empty
  std::string endpoint = "https://huggingface.co";  // HF_ENDPOINT, no trailing slash
  std::string token;                                // HF_TOKEN, HUGGING_FACE_HUB_TOKEN or the file $HF_HOME/token
  std::string ca_file;                              // SSL_CERT_FILE, CURL_CA_BUNDLE or REQUESTS_CA_BUNDLE; "" = system
  std::string python;                               // VORTEX_PYTHON: whose pip fetches wheels; may be empty
  bool offline = false;                             // HF_HUB_OFFLINE
  int connect_timeout_s = 10;                       // HF_HUB_ETAG_TIMEOUT
  int stall_timeout_s = 30;                         // HF_HUB_DOWNLOAD_TIMEOUT: no byte for so long
  int retry_delay_ms = 500;                         // doubled after each attempt without progress
};

/// Value of an environment variable, or null.
using Environment = FunctionRef<const char*(const char* name)>;

/// kConfiguration for an endpoint that is not http(s) or a token with characters no header may hold.
Result<HubSettings> read_hub_settings(Environment environment);
/// The same from this process's environment.
Result<HubSettings> read_hub_settings();

}  // namespace vortex::hub

// HTTP over libcurl: what a model download needs and no more. Certificates are verified, proxies come from
// the environment, a bearer token never leaves the origin it was given for, and errors name only the host.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/function_ref.h"
#include "base/result.h"

namespace vortex::hub {

struct HttpOptions {
  int connect_timeout_s = 10;
  int stall_timeout_s = 30;  // gives up after so long without a byte
  int max_redirects = 8;
  std::string ca_file;  // "" = the system's certificates
};

struct HttpRequest {
  std::string url;
  std::string bearer_token;  // sent to the origin (scheme, host, port) of `url` only
};

struct HttpReply {
  int status = 0;
  std::string url;                             // the one that answered, after redirects
  std::map<std::string, std::string> headers;  // names in lower case; the last of a repeated one
  std::string body;                            // of get(); of errors the first 4 KB

  bool ok() const { return status >= 200 && status < 300; }
  /// Value of a header, or "".
  std::string header(const std::string& name) const;
};

/// A partial file that a download continues.
struct ResumableFile {
  std::filesystem::path path;
  int64_t expected_bytes = 0;
};

/// Not thread-safe; keeps connections open between calls. Every complete answer, whatever its status, is a
/// reply; kUnavailable is a transport that failed, kDataLoss an answer larger than allowed or a lying range.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;

  /// Follows redirects within the origin; one to another origin is the reply (its headers tell what lies there).
  Result<HttpReply> head(const HttpRequest& request);
  /// Follows redirects, never from https to http.
  Result<HttpReply> get(const HttpRequest& request, int64_t max_bytes);
  /// Appends what `file` lacks, by a Range request when it holds something; starts over when the server sends all.
  /// A status of 200 or 206 means that the file now holds expected_bytes. After kUnavailable, call again to resume.
  Result<HttpReply> get_file(const HttpRequest& request, const ResumableFile& file,
                             FunctionRef<void(int64_t done)> progress);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "host" or "host:port" for messages; "?" when `url` is none.
std::string url_host(const std::string& url);
/// Percent-encodes everything but unreserved characters, and '/' when `keep_slashes`.
std::string url_encode(std::string_view text, bool keep_slashes);

}  // namespace vortex::hub

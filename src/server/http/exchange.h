// One HTTP exchange as a handler sees it: a complete request, and a Responder to answer it whole or as a stream.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vortex::server {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// Complete and within the limits of the listener; paths and headers are clean text.
struct HttpRequest {
  std::string method;  // "POST"
  std::string path;    // "/v1/models", without the query
  std::string query;   // what follows '?', as sent
  HeaderList headers;  // names in lower case
  std::string body;
  std::string id;      // x-request-id: the client's, when it is 1 to 64 of [A-Za-z0-9._-], else made here
  std::string client;  // address and port, for logs
  std::string tenant;  // stands for the API key that was used, not the key itself; empty where none is asked for
  std::chrono::steady_clock::time_point arrived;

  /// Value of the first header of that lower-case name; empty when there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  HeaderList headers = {};
};

/// Answers one request. Any thread may call; calls are carried out in order on the network thread and never block.
/// Either send(), or begin(), write()... and end() or cut(). A Responder dropped unanswered answers 500. After the
/// client has gone everything is a no-op.
class Responder {
 public:
  virtual ~Responder() = default;

  /// The whole answer.
  virtual void send(HttpResponse response) = 0;
  /// Starts a chunked answer; a body in `head` is its first chunk.
  virtual void begin(HttpResponse head) = 0;
  virtual void write(std::string bytes) = 0;
  /// Ends a chunked answer well.
  virtual void end() = 0;
  /// Ends it badly: the connection is closed before the last chunk, so that no client takes the answer for whole.
  virtual void cut() = 0;
  /// `gone` is called once, on the network thread, when the client leaves, or is cut off for reading too slowly,
  /// before the answer has ended. At once when that has happened already.
  virtual void on_gone(std::function<void()> gone) = 0;
};

/// Called on the network thread: must not block. May answer later, from another thread.
using Handler = std::function<void(HttpRequest, std::shared_ptr<Responder>)>;

enum class Access {
  kPublic,  // no key: the /health family only
  kUser,
  kAdmin,  // an admin key; without one configured the route does not exist
};

/// A row of the router's table.
struct Route {
  std::string method;  // GET also answers HEAD
  std::string path;    // exact
  Access access = Access::kUser;
  Handler handler;
};

}  // namespace vortex::server

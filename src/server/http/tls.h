// The certificate and rules of a server under TLS.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

#include "base/result.h"

namespace vortex::server {

class TlsContext {
 public:
  /// TLS 1.2 and later. Errors: kConfiguration, naming the file that is unusable or does not fit the other.
  static Result<TlsContext> load(const std::string& certificate_file, const std::string& key_file);
  SSL_CTX* get() const { return context_.get(); }

 private:
  explicit TlsContext(std::shared_ptr<SSL_CTX> context) : context_(std::move(context)) {}
  std::shared_ptr<SSL_CTX> context_;
};

}  // namespace vortex::server

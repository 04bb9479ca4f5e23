// The one shape of every error answer: {"error":{"message","type","param","code"}}.
#pragma once

#include <string_view>

#include "server/http/exchange.h"

namespace vortex::server {

/// An answer of that shape. `type` is e.g. "invalid_request_error"; an empty `code` or `param` becomes null. Broken
/// UTF-8 in `message` is replaced. 429 and 503 get "retry-after: 1"; whoever knows better overwrites the header.
HttpResponse error_response(int status, std::string_view type, std::string_view code, std::string_view message,
                            std::string_view param = {});

/// 500 internal_error, with x-should-retry: false.
HttpResponse internal_error_response();

}  // namespace vortex::server

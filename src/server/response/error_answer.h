// Errors as answers and as events of a stream.
#pragma once

#include "base/result.h"
#include "server/http/exchange.h"
#include "server/request/json_text.h"

namespace vortex::server {

/// "invalid_request_error" for 400, and so on.
std::string_view error_type(int status);

HttpResponse error_answer(const ApiError& error);
/// The same with another Retry-After.
HttpResponse error_answer(const ApiError& error, int retry_after_s);

/// {"error": {message, type, param, code}}
Json error_json(const ApiError& error);

/// Of a request that the engine gave up.
ApiError engine_error(const Error& error);

}  // namespace vortex::server

// Answers that need no more than what the server is.
#pragma once

#include <string>

#include "server/http/exchange.h"
#include "server/request/request_context.h"

namespace vortex::server {

/// GET /v1/models. `created`: seconds of the epoch, when the server started.
HttpResponse models_answer(const RequestContext& context, int64_t created);
/// GET /v1/models/NAME.
HttpResponse model_answer(const RequestContext& context, const std::string& name, int64_t created);
HttpResponse version_answer();
/// GET /: where to go.
HttpResponse root_answer();
HttpResponse status_ok();
/// 501 for an endpoint that other servers have.
HttpResponse not_built_answer(const std::string& path);

}  // namespace vortex::server

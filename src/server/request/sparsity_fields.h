// The request's "vortex" object: its own say over sparse attention. Numbers only, within the operator's limits.
#pragma once

#include "engine/completion.h"
#include "server/request/json_text.h"
#include "server/request/request_context.h"

namespace vortex::server {

struct SparsityFields {
  SparsityRequest request;
  bool report = false;
};

/// 400 naming the key; unknown keys too. Null gives the defaults.
ApiResult<SparsityFields> read_sparsity(const Json& object, const RequestContext& context);

}  // namespace vortex::server

// A text completion as asked.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "server/request/generation_request.h"

namespace vortex::server {

using TextOrIds = std::variant<std::string, std::vector<int32_t>>;

struct CompletionRequest {
  GenerationRequest generation;
  std::vector<TextOrIds> prompts;
  bool add_special_tokens = true;
  bool echo = false;
};

/// 400 naming the field, 404 model_not_found.
ApiResult<CompletionRequest> read_completion(const Fields& fields, const RequestContext& context);

}  // namespace vortex::server

// Parts of responses: usage.
#pragma once

#include "server/request/json_text.h"

namespace vortex::server {

struct UsageSums {
  int64_t prompt_tokens = 0;  // each prompt once, however many answers it got
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;
};

/// OpenAI's usage object.
Json usage_json(const UsageSums& sums);

}  // namespace vortex::server

// Parts of responses: usage, and what sparse attention read.
#pragma once

#include "engine/completion.h"
#include "server/request/json_text.h"

namespace vortex::server {

struct UsageSums {
  int64_t prompt_tokens = 0;  // each prompt once, however many answers it got
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;
};

/// OpenAI's usage object.
Json usage_json(const UsageSums& sums);

/// The `sparsity` block of docs/json.md.
Json sparsity_json(const SparsityReport& report);

}  // namespace vortex::server

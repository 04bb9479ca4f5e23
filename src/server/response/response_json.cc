#include "server/response/response_json.h"

namespace vortex::server {

Json usage_json(const UsageSums& sums) {
  return {{"prompt_tokens", sums.prompt_tokens},
          {"completion_tokens", sums.completion_tokens},
          {"total_tokens", sums.prompt_tokens + sums.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", sums.cached_tokens}}}};
}

}  // namespace vortex::server

// /tokenize, /detokenize and /tokenizer_info, in vLLM's spelling and llama.cpp's. Slow for long texts.
#pragma once

#include <string_view>

#include "server/http/exchange.h"
#include "server/request/request_context.h"

namespace vortex::server {

HttpResponse tokenize_answer(const RequestContext& context, std::string_view body);
HttpResponse detokenize_answer(const RequestContext& context, std::string_view body);
HttpResponse tokenizer_info_answer(const RequestContext& context);

}  // namespace vortex::server

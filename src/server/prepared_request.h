// From a request's body to what the engine takes. Slow: on a worker thread.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <variant>
#include <vector>

#include "server/request/chat_request.h"
#include "server/request/completion_request.h"
#include "server/response/answer_format.h"

namespace vortex::server {

enum class Endpoint { kChat, kCompletion };

/// Fields checked, nothing tokenised.
struct ReadRequest {
  std::variant<ChatRequest, CompletionRequest> request;
  int unknown_fields = 0;

  GenerationRequest& generation();
  /// Sequences that the engine will run for it.
  int64_t sequences() const;
};

/// Ready for the engine.
struct PreparedRequest {
  OutputOptions output;
  std::unique_ptr<AnswerFormat> format;
  std::vector<GenerateRequest> prompts;
};

/// What belongs to the server rather than to the request. All thread-safe.
struct Preparers {
  const RequestContext* context = nullptr;
  std::function<Result<std::shared_ptr<const grammar::CompiledGrammar>>(const grammar::GrammarSource&)> compile_grammar;
  std::function<Status(const GenerateRequest&)> check;
  std::string tool_call_parser, reasoning_parser;  // of output_parser.h; empty: none
};

ApiResult<ReadRequest> read_request(Endpoint endpoint, std::string_view body, const RequestContext& context);

/// Template, tokenizer, grammar, length of context. `cancelled` is asked between the steps; true ends the work.
ApiResult<PreparedRequest> prepare(ReadRequest request, const Preparers& preparers,
                                   const std::function<bool()>& cancelled);

}  // namespace vortex::server

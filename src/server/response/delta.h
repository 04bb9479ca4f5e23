// Delta: a piece of one answer, or the whole of it: what an event of a stream shows is what a whole answer is made of.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/completion.h"
#include "server/parsers/output_parser.h"

namespace vortex::server {

struct Delta {
  std::string content, reasoning;
  std::vector<ToolCallPiece> calls;
  std::vector<TokenLogprobs> logprobs;
  std::vector<int32_t> tokens;

  Delta() = default;
  explicit Delta(OutputPieces pieces)
      : content(std::move(pieces.content)), reasoning(std::move(pieces.reasoning)), calls(std::move(pieces.calls)) {}

  bool has_text() const { return !content.empty() || !reasoning.empty() || !calls.empty(); }
};

/// Adds a piece at the end; pieces of one tool call become one.
void append(Delta next, Delta* whole);

/// "call_" and 24 random letters and digits.
std::string new_call_id();

/// How an answer ended, in OpenAI's words.
struct Ending {
  std::string finish_reason;  // stop, length, tool_calls
  decltype(Completion::stop_reason) stop_reason;
};

}  // namespace vortex::server

// AnswerFormat: one kind of response: what its whole object, and the events of its stream, look like.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/request/generation_request.h"
#include "server/response/delta.h"
#include "server/response/logprobs_json.h"

namespace vortex::server {

/// One finished answer.
struct FinishedAnswer {
  int index = 0;
  const Delta* delta = nullptr;  // all of it
  const Ending* ending = nullptr;
  const Completion* completion = nullptr;
  const std::vector<int32_t>* prompt = nullptr;
};

class AnswerFormat {
 public:
  virtual ~AnswerFormat() = default;
  /// Start of the response's id: "chatcmpl-".
  virtual const char* id_prefix() const = 0;
  virtual const char* object(bool chunk) const = 0;
  /// The choice of a stream's first event for an answer; null when there is none.
  virtual Json opening(int index) = 0;
  /// The choices of further events; with `ending`, the last of them. May be several events or none.
  virtual std::vector<Json> pieces(int index, const Delta& delta, const Ending* ending) = 0;
  virtual Json choice(const FinishedAnswer& answer) = 0;
  /// Adds what stands beside the choices.
  virtual void finish_object(const FinishedAnswer& first, Json* object) = 0;
  /// What splits the text of each answer.
  virtual std::unique_ptr<OutputParser> make_parser() const = 0;
};

/// null, a token id or a text.
Json stop_reason_json(const Ending& ending);

struct ChatOutput {
  bool logprobs = false;
  bool include_reasoning = true;
  bool parallel_tool_calls = true;
  std::function<std::unique_ptr<OutputParser>()> make_parser;
};
std::unique_ptr<AnswerFormat> make_chat_format(const OutputOptions& output, ChatOutput chat, TokenNames names);

struct CompletionOutput {
  int logprobs = -1;                // shown; -1: none
  std::vector<std::string> echoes;  // by prompt; empty: no echo
};
std::unique_ptr<AnswerFormat> make_completion_format(const OutputOptions& output, CompletionOutput completion,
                                                     TokenNames names);

}  // namespace vortex::server

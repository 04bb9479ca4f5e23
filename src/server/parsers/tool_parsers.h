// Parsers of tool calls, one a form.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/parsers/call_reader.h"
#include "server/parsers/output_parser.h"

namespace vortex::server {

/// Text around calls in JSON: each form says where calls begin and end.
class CallParser : public OutputParser {
 public:
  explicit CallParser(std::function<std::string()> new_call_id) : new_call_id_(std::move(new_call_id)) {}

  OutputPieces push(std::string_view text) final;
  OutputPieces finish() final;

 protected:
  /// Outside of a call. A byte that begins a call's JSON itself is not taken: it comes again.
  enum class Taken { kYes, kAgain };
  virtual Taken outside(char c, OutputPieces& out) = 0;
  /// What a call begins with, so far or as it was: given back when no call follows.
  virtual std::string take_prefix() = 0;
  /// The text ends outside of a call.
  virtual void end_outside(OutputPieces& out) = 0;
  virtual void call_ended() {}
  virtual void call_broke() {}

  /// The next byte belongs to a call's JSON, or to white space before it.
  void begin_call() { call_.emplace(); }
  int calls() const { return calls_; }

 private:
  void push(char c, OutputPieces& out);
  void push_call(char c, OutputPieces& out);
  void take_piece(OutputPieces& out);

  std::function<std::string()> new_call_id_;
  std::optional<CallReader> call_;
  bool announced_ = false;  // the call in call_
  int calls_ = 0;           // announced so far
};

/// <tool_call>{"name": .., "arguments": {..}}</tool_call>, any number of them, with content around them.
std::unique_ptr<OutputParser> make_hermes_parser(std::function<std::string()> new_call_id);

/// {"name": .., "parameters": {..}}, from the beginning of the answer, perhaps after <|python_tag|>; more after a
/// semicolon.
std::unique_ptr<OutputParser> make_llama3_json_parser(std::function<std::string()> new_call_id);

}  // namespace vortex::server

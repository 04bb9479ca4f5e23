// OutputParser: splits the text of one answer into content, reasoning and tool calls, as it comes.
//
// Texts may be cut anywhere: what could still become a tag is held back until it is clear. The sum of all pieces is
// the same for every way to cut. Nothing is lost: a call that is not well formed comes back as content, tags
// included; where it breaks after its name was given, the rest does.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vortex::server {

/// A part of a tool call. The first of each index has id and name; all may have more of the arguments (JSON).
struct ToolCallPiece {
  int index = 0;  // of the call within the answer
  std::string id, name, arguments;
};

struct OutputPieces {
  std::string content, reasoning;
  std::vector<ToolCallPiece> calls;
};

struct ParserOptions {
  std::string tool_parser;                   // hermes, llama3_json; empty: calls stay content
  std::string reasoning_parser;              // qwen3, deepseek_r1; empty: reasoning stays content
  bool inside_reasoning = false;             // the prompt ended within <think> (deepseek_r1: always taken so)
  std::function<std::string()> new_call_id;  // must be set where there is a tool parser
};

class OutputParser {
 public:
  virtual ~OutputParser() = default;
  virtual OutputPieces push(std::string_view text) = 0;
  /// No more text will come: gives what was held back.
  virtual OutputPieces finish() = 0;
};

/// Values of --tool-call-parser and --reasoning-parser.
std::vector<std::string_view> tool_parser_names();
std::vector<std::string_view> reasoning_parser_names();

/// kConfiguration for an unknown name.
Result<std::unique_ptr<OutputParser>> make_output_parser(const ParserOptions& options);

/// tool_choice "required": a JSON schema for a list of calls, at least one (one, unless `parallel`):
/// [{"name": .., "parameters": {..}}, ..]. `tools`: as in the request, [{"type": "function", "function": {..}}, ..].
/// A named tool_choice is the list of that one tool with `parallel` false.
std::string forced_calls_schema(const nlohmann::ordered_json& tools, bool parallel);

/// Reads what such a schema lets through: every member of the list is a call, and there is no content.
std::unique_ptr<OutputParser> make_forced_calls_parser(std::function<std::string()> new_call_id);

}  // namespace vortex::server

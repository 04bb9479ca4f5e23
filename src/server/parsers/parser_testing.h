// Helper of the tests of this folder.
#pragma once

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "server/parsers/output_parser.h"

namespace vortex::server {

/// The sum of what a parser gives for `pieces`: "reasoning=..|content=..|call ID NAME(ARGUMENTS)..".
inline std::string shown(OutputParser& parser, const std::vector<std::string>& pieces) {
  std::string content, reasoning;
  std::map<int, std::string> calls;
  const auto add = [&](const OutputPieces& out) {
    content += out.content;
    reasoning += out.reasoning;
    for (const ToolCallPiece& call : out.calls) {
      if (!call.name.empty()) calls[call.index] += fmt::format("call {} {}(", call.id, call.name);
      calls[call.index] += call.arguments;
    }
  };
  for (const std::string& piece : pieces) add(parser.push(piece));
  add(parser.finish());
  std::vector<std::string> parts;
  if (!reasoning.empty()) parts.push_back("reasoning=" + reasoning);
  if (!content.empty()) parts.push_back("content=" + content);
  for (const auto& [index, call] : calls) parts.push_back(call + ")");
  return fmt::format("{}", fmt::join(parts, "|"));
}

}  // namespace vortex::server

// Which grammar compiler and which parser of answers a server uses.
#pragma once

#include "server/prepared_request.h"

namespace vortex::server {

/// Compiles what constrains answers; kUnsupported without a tokenizer.
std::function<Result<std::shared_ptr<const grammar::CompiledGrammar>>(const grammar::GrammarSource&)>
make_grammar_compiler(const RequestContext& context, const std::vector<int32_t>& end_ids);

/// A value of --tool-call-parser or --reasoning-parser made a parser's name; empty: none. "auto" looks at what the chat
/// template writes.
std::string tool_call_parser_name(const std::string& setting, const std::string& chat_template);
std::string reasoning_parser_name(const std::string& setting, const std::string& chat_template);

}  // namespace vortex::server

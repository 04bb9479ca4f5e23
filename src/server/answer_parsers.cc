#include "server/answer_parsers.h"

#include <mutex>

namespace vortex::server {
namespace {

/// Made when it is first needed: it walks the whole vocabulary.
struct LazyCompiler {
  std::once_flag once;
  std::unique_ptr<grammar::GrammarCompiler> compiler;
};

std::string resolved(const std::string& setting) { return setting == "none" ? "" : setting; }

bool has(const std::string& text, std::string_view word) { return text.find(word) != std::string::npos; }

}  // namespace

std::function<Result<std::shared_ptr<const grammar::CompiledGrammar>>(const grammar::GrammarSource&)>
make_grammar_compiler(const RequestContext& context, const std::vector<int32_t>& end_ids) {
  auto lazy = std::make_shared<LazyCompiler>();
  return [lazy, &context,
          end_ids](const grammar::GrammarSource& source) -> Result<std::shared_ptr<const grammar::CompiledGrammar>> {
    if (context.codec == nullptr)
      return Error{ErrorCode::kUnsupported, "structured_outputs", "the model has no tokenizer", ""};
    std::call_once(lazy->once, [&] {
      lazy->compiler =
          std::make_unique<grammar::GrammarCompiler>(context.codec->tokenizer(), end_ids, context.vocab_size);
    });
    return lazy->compiler->compile(source);
  };
}

std::string tool_call_parser_name(const std::string& setting, const std::string& chat_template) {
  if (setting != "auto") return resolved(setting);
  if (has(chat_template, "<tool_call>")) return "hermes";
  return has(chat_template, "<|start_header_id|>") && has(chat_template, "tools") ? "llama3_json" : "";
}

std::string reasoning_parser_name(const std::string& setting, const std::string& chat_template) {
  if (setting != "auto") return resolved(setting);
  return has(chat_template, "</think>") || has(chat_template, "<think>") ? "qwen3" : "";
}

}  // namespace vortex::server

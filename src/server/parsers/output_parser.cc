#include "server/parsers/output_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "server/parsers/reasoning.h"
#include "server/parsers/tool_parsers.h"

namespace vortex::server {
namespace {

/// Reasoning first, then calls in what is left of the text.
class ChainedParser final : public OutputParser {
 public:
  ChainedParser(std::optional<ReasoningSplitter> reasoning, std::unique_ptr<OutputParser> calls)
      : reasoning_(std::move(reasoning)), calls_(std::move(calls)) {}

  OutputPieces push(std::string_view text) override {
    std::string reasoning, content;
    if (reasoning_) {
      reasoning_->push(text, reasoning, content);
    } else {
      content = text;
    }
    return with_calls(std::move(reasoning), std::move(content));
  }

  OutputPieces finish() override {
    std::string reasoning, content;
    if (reasoning_) reasoning_->finish(reasoning, content);
    OutputPieces out = with_calls(std::move(reasoning), std::move(content));
    if (calls_ == nullptr) return out;
    OutputPieces last = calls_->finish();
    out.content += last.content;
    std::move(last.calls.begin(), last.calls.end(), std::back_inserter(out.calls));
    return out;
  }

 private:
  OutputPieces with_calls(std::string reasoning, std::string content) {
    if (calls_ == nullptr) return {std::move(content), std::move(reasoning), {}};
    OutputPieces out = calls_->push(content);
    out.reasoning = std::move(reasoning);
    return out;
  }

  std::optional<ReasoningSplitter> reasoning_;
  std::unique_ptr<OutputParser> calls_;  // null: calls stay content
};

Error unknown_name(std::string_view setting, const std::string& name, const std::vector<std::string_view>& names) {
  return {ErrorCode::kConfiguration, std::string(setting), fmt::format("there is no parser \"{}\"", name),
          fmt::format("known are {}", fmt::join(names, ", "))};
}

bool contains(const std::vector<std::string_view>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::vector<std::string_view> tool_parser_names() { return {"hermes", "llama3_json"}; }
std::vector<std::string_view> reasoning_parser_names() { return {"qwen3", "deepseek_r1"}; }

Result<std::unique_ptr<OutputParser>> make_output_parser(const ParserOptions& options) {
  std::optional<ReasoningSplitter> reasoning;
  if (!options.reasoning_parser.empty()) {
    if (!contains(reasoning_parser_names(), options.reasoning_parser)) {
      return unknown_name("reasoning_parser", options.reasoning_parser, reasoning_parser_names());
    }
    reasoning.emplace(options.inside_reasoning || options.reasoning_parser == "deepseek_r1");
  }
  std::unique_ptr<OutputParser> calls;
  if (options.tool_parser == "hermes") calls = make_hermes_parser(options.new_call_id);
  if (options.tool_parser == "llama3_json") calls = make_llama3_json_parser(options.new_call_id);
  if (calls == nullptr && !options.tool_parser.empty()) {
    return unknown_name("tool_call_parser", options.tool_parser, tool_parser_names());
  }
  return std::unique_ptr<OutputParser>(std::make_unique<ChainedParser>(std::move(reasoning), std::move(calls)));
}

}  // namespace vortex::server

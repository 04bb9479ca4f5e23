#include "server/response/answer_format.h"

namespace vortex::server {
namespace {

Json call_json(const ToolCallPiece& call, bool in_stream) {
  Json out = Json::object();
  if (in_stream) out["index"] = call.index;
  if (!call.id.empty()) {
    out["id"] = call.id;
    out["type"] = "function";
  }
  Json function = Json::object();
  if (!call.name.empty()) function["name"] = call.name;
  function["arguments"] = call.arguments;
  out["function"] = std::move(function);
  return out;
}

class ChatFormat final : public AnswerFormat {
 public:
  ChatFormat(const OutputOptions& output, ChatOutput chat, TokenNames names)
      : output_(output), chat_(std::move(chat)), names_(names) {}

  const char* id_prefix() const override { return "chatcmpl-"; }
  const char* object(bool chunk) const override { return chunk ? "chat.completion.chunk" : "chat.completion"; }
  std::unique_ptr<OutputParser> make_parser() const override { return chat_.make_parser(); }

  Json opening(int index) override {
    return piece(index, {{"role", "assistant"}, {"content", ""}}, nullptr, Delta(), nullptr);
  }

  std::vector<Json> pieces(int index, const Delta& delta, const Ending* ending) override {
    std::vector<Json> out;
    const bool shows_tokens = output_.token_ids && !delta.tokens.empty();
    Json body = delta_json(delta);
    if (!body.empty() || (chat_.logprobs && !delta.logprobs.empty()) || shows_tokens)
      out.push_back(piece(index, std::move(body), logprobs(delta), delta, nullptr));
    if (ending != nullptr) out.push_back(piece(index, Json::object(), nullptr, Delta(), ending));
    return out;
  }

  Json choice(const FinishedAnswer& answer) override {
    const Delta& delta = *answer.delta;
    Json message = {{"role", "assistant"}, {"content", delta.content}};
    if (delta.content.empty() && !delta.calls.empty()) message["content"] = nullptr;
    message["refusal"] = nullptr;
    if (chat_.include_reasoning && !delta.reasoning.empty()) message["reasoning_content"] = delta.reasoning;
    Json calls = calls_json(delta, false);
    if (!calls.empty()) message["tool_calls"] = std::move(calls);
    Json out = {{"index", answer.index},
                {"message", std::move(message)},
                {"logprobs", logprobs(delta)},
                {"finish_reason", answer.ending->finish_reason},
                {"stop_reason", stop_reason_json(*answer.ending)}};
    if (output_.token_ids) out["token_ids"] = delta.tokens;
    return out;
  }

  void finish_object(const FinishedAnswer& first, Json* object) override {
    if (output_.token_ids) (*object)["prompt_token_ids"] = *first.prompt;
    if (output_.prompt_logprobs >= 0)
      (*object)["prompt_logprobs"] =
          prompt_logprobs_json(first.completion->prompt_logprobs, output_.prompt_logprobs, names_);
  }

 private:
  Json logprobs(const Delta& delta) const {
    return chat_.logprobs ? chat_logprobs(delta.logprobs, names_) : Json(nullptr);
  }

  Json calls_json(const Delta& delta, bool in_stream) const {
    Json calls = Json::array();
    for (const ToolCallPiece& call : delta.calls)
      if (chat_.parallel_tool_calls || call.index == 0) calls.push_back(call_json(call, in_stream));
    return calls;
  }

  Json delta_json(const Delta& delta) const {
    Json out = Json::object();
    if (chat_.include_reasoning && !delta.reasoning.empty()) out["reasoning_content"] = delta.reasoning;
    if (!delta.content.empty()) out["content"] = delta.content;
    Json calls = calls_json(delta, true);
    if (!calls.empty()) out["tool_calls"] = std::move(calls);
    return out;
  }

  Json piece(int index, Json body, Json logprobs, const Delta& delta, const Ending* ending) const {
    Json out = {{"index", index}, {"delta", std::move(body)}, {"logprobs", std::move(logprobs)}};
    out["finish_reason"] = ending == nullptr ? Json(nullptr) : Json(ending->finish_reason);
    if (ending != nullptr) out["stop_reason"] = stop_reason_json(*ending);
    if (output_.token_ids && !delta.tokens.empty()) out["token_ids"] = delta.tokens;
    return out;
  }

  OutputOptions output_;
  ChatOutput chat_;
  TokenNames names_;
};

}  // namespace

Json stop_reason_json(const Ending& ending) {
  if (const auto* id = std::get_if<int32_t>(&ending.stop_reason)) return *id;
  if (const auto* text = std::get_if<std::string>(&ending.stop_reason)) return *text;
  return nullptr;
}

std::unique_ptr<AnswerFormat> make_chat_format(const OutputOptions& output, ChatOutput chat, TokenNames names) {
  return std::make_unique<ChatFormat>(output, std::move(chat), names);
}

}  // namespace vortex::server

#include "server/request/prompt_encoder.h"

#include <algorithm>

namespace vortex::server {
namespace {

ApiStatus check_bytes(const RequestContext& context, size_t bytes, const char* param) {
  if (static_cast<int64_t>(bytes) <= context.max_prompt_bytes) return {};
  return context_length_exceeded(param, fmt::format("The context is {} tokens long; a text of {} bytes cannot fit.",
                                                    context.max_model_len, bytes));
}

ApiStatus check_codec(const RequestContext& context, const char* param) {
  if (context.codec != nullptr) return {};
  return not_supported(param, "The model has no tokenizer; send token ids to /v1/completions.");
}

std::string_view without_outer_space(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

/// Ends the prompt where the last message's text ends: what the template writes after it belongs to the answer.
ApiStatus cut_after_final_message(const std::string& content, text::RenderedPrompt* prompt) {
  const std::string_view final_text = without_outer_space(content);
  const size_t at = final_text.empty() ? std::string::npos : prompt->text.rfind(final_text);
  if (at == std::string::npos)
    return invalid_value("continue_final_message", "The last message has no text that the template shows.");
  const size_t end = at + final_text.size();
  prompt->text.resize(end);
  std::erase_if(prompt->untrusted, [&](const text::TextRange& range) { return range.begin >= end; });
  for (text::TextRange& range : prompt->untrusted) range.end = std::min(range.end, end);
  return {};
}

}  // namespace

ApiResult<std::vector<int32_t>> encode_text(const RequestContext& context, const std::string& text, bool add_special,
                                            const char* param) {
  VORTEX_RETURN_IF_ERROR(check_codec(context, param));
  VORTEX_RETURN_IF_ERROR(check_bytes(context, text.size(), param));
  if (add_special) return context.codec->encode(text);
  return context.codec->tokenizer().encode(text, text::SpecialTokens::kIgnore);
}

ApiResult<EncodedConversation> encode_conversation(const RequestContext& context, const ChatRequest& request) {
  VORTEX_RETURN_IF_ERROR(check_codec(context, "messages"));
  if (!context.codec->has_chat_template())
    return not_supported("messages", "The model has no chat template; use /v1/completions.");
  for (const Json& message : request.template_inputs["messages"])
    VORTEX_RETURN_IF_ERROR(check_bytes(context, message["content"].get_ref<const std::string&>().size(), "messages"));
  Result<text::RenderedPrompt> prompt = context.codec->render_chat(request.template_inputs);
  if (!prompt.ok()) return invalid_value("messages", prompt.error().to_string());
  if (request.continue_final_message) {
    const Json& last = request.template_inputs["messages"].back();
    VORTEX_RETURN_IF_ERROR(cut_after_final_message(last["content"].get<std::string>(), &*prompt));
  }
  VORTEX_RETURN_IF_ERROR(check_bytes(context, prompt->text.size(), "messages"));
  return EncodedConversation{context.codec->encode_rendered(*prompt),
                             without_outer_space(prompt->text).ends_with("<think>")};
}

ApiStatus fit_prompt(const RequestContext& context, std::optional<int64_t> truncate, int64_t max_tokens,
                     const char* param, std::vector<int32_t>* prompt) {
  const int64_t answer = std::max<int64_t>(max_tokens, 1);
  if (truncate) {
    const int64_t keep = *truncate < 0 ? std::max<int64_t>(context.max_model_len - answer, 1) : *truncate;
    const int64_t surplus = static_cast<int64_t>(prompt->size()) - keep;
    if (surplus > 0) prompt->erase(prompt->begin(), prompt->begin() + surplus);
  }
  if (prompt->empty()) return invalid_value(param, "The prompt has no tokens.");
  const auto tokens = static_cast<int64_t>(prompt->size());
  if (tokens <= context.max_model_len - answer) return {};
  if (max_tokens > 0)
    return context_length_exceeded(
        param, fmt::format("The context is {} tokens long; {} were asked for: {} of the prompt and {} of the answer.",
                           context.max_model_len, tokens + max_tokens, tokens, max_tokens));
  return context_length_exceeded(
      param, fmt::format("The context is {} tokens long; the prompt has {} and leaves no room for an answer.",
                         context.max_model_len, tokens));
}

}  // namespace vortex::server

#include "server/response/logprobs_json.h"

#include <algorithm>
#include <cmath>

#include "text/utf8.h"

namespace vortex::server {
namespace {

// JSON has no infinity.
double finite(float logprob) { return std::isfinite(logprob) ? std::max(logprob, -9999.0f) : -9999.0; }

int64_t characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

Json chat_entry(const TokenLogprob& token, const TokenNames& names) {
  return {{"token", names.text(token.token)}, {"logprob", finite(token.logprob)}, {"bytes", names.bytes(token.token)}};
}

std::span<const TokenLogprob> first(const std::vector<TokenLogprob>& top, int most) {
  return {top.data(), std::min(top.size(), static_cast<size_t>(most))};
}

}  // namespace

std::string TokenNames::text(int32_t token) const {
  if (as_ids_) return fmt::format("token_id:{}", token);
  return text::repaired_utf8(codec_->tokenizer().token_bytes(token));
}

Json TokenNames::bytes(int32_t token) const {
  if (codec_ == nullptr) return nullptr;
  Json bytes = Json::array();
  for (const char c : codec_->tokenizer().token_bytes(token)) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

Json chat_logprobs(std::span<const TokenLogprobs> tokens, const TokenNames& names) {
  Json content = Json::array();
  for (const TokenLogprobs& entry : tokens) {
    Json top = Json::array();
    for (const TokenLogprob& likely : entry.top) top.push_back(chat_entry(likely, names));
    Json& added = content.emplace_back(chat_entry(entry.chosen, names));
    added["top_logprobs"] = std::move(top);
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

std::string CompletionLogprobs::add_token(int32_t token) {
  std::string text = names_.text(token);
  tokens_.push_back(text);
  offsets_.push_back(offset_);
  offset_ += characters(text);
  return text;
}

void CompletionLogprobs::add_first(int32_t token) {
  add_token(token);
  logprobs_.push_back(nullptr);
  top_.push_back(nullptr);
}

void CompletionLogprobs::add(const TokenLogprobs& entry, int most) {
  const std::string text = add_token(entry.chosen.token);
  logprobs_.push_back(finite(entry.chosen.logprob));
  Json top = Json::object();
  for (const TokenLogprob& likely : first(entry.top, most)) {
    const std::string name = names_.text(likely.token);
    if (!top.contains(name)) top[name] = finite(likely.logprob);
  }
  if (!top.contains(text)) top[text] = finite(entry.chosen.logprob);
  top_.push_back(std::move(top));
}

Json CompletionLogprobs::take() {
  return {{"tokens", std::move(tokens_)},
          {"token_logprobs", std::move(logprobs_)},
          {"top_logprobs", std::move(top_)},
          {"text_offset", std::move(offsets_)}};
}

Json prompt_logprobs_json(std::span<const TokenLogprobs> tokens, int most, const TokenNames& names) {
  Json list = Json::array();
  list.push_back(nullptr);
  const auto add = [&](const TokenLogprob& token, Json* place) {
    (*place)[std::to_string(token.token)] = {
        {"logprob", finite(token.logprob)}, {"rank", token.rank}, {"decoded_token", names.text(token.token)}};
  };
  for (const TokenLogprobs& entry : tokens) {
    Json place = Json::object();
    add(entry.chosen, &place);
    for (const TokenLogprob& likely : first(entry.top, most)) add(likely, &place);
    list.push_back(std::move(place));
  }
  return list;
}

}  // namespace vortex::server

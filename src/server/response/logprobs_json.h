// Log-probabilities as OpenAI and vLLM write them.
#pragma once

#include <span>
#include <string>

#include "engine/completion.h"
#include "engine/text_codec.h"
#include "server/request/json_text.h"

namespace vortex::server {

/// Tokens as text. Bytes that are no whole characters are replaced.
class TokenNames {
 public:
  /// `codec` may be null: then, and with `as_ids`, a token is "token_id:7".
  TokenNames(const TextCodec* codec, bool as_ids) : codec_(codec), as_ids_(as_ids || codec == nullptr) {}

  std::string text(int32_t token) const;
  /// Byte values, or null without a tokenizer.
  Json bytes(int32_t token) const;

 private:
  const TextCodec* codec_;
  bool as_ids_;
};

/// {"content": [{token, logprob, bytes, top_logprobs}], "refusal": null}
Json chat_logprobs(std::span<const TokenLogprobs> tokens, const TokenNames& names);

/// The four lists of /v1/completions, grown token by token.
class CompletionLogprobs {
 public:
  CompletionLogprobs(const TokenNames& names, int64_t first_offset) : names_(names), offset_(first_offset) {}

  /// The first token of a prompt has nothing before it: null.
  void add_first(int32_t token);
  /// With the `most` likeliest of the tokens in its place, and itself.
  void add(const TokenLogprobs& entry, int most);
  Json take();
  /// Characters of the text up to here.
  int64_t offset() const { return offset_; }

 private:
  std::string add_token(int32_t token);

  const TokenNames& names_;
  int64_t offset_;
  Json tokens_ = Json::array(), logprobs_ = Json::array(), top_ = Json::array(), offsets_ = Json::array();
};

/// vLLM's: a list by prompt token, null for the first, else {"ID": {logprob, rank, decoded_token}}.
Json prompt_logprobs_json(std::span<const TokenLogprobs> tokens, int most, const TokenNames& names);

}  // namespace vortex::server

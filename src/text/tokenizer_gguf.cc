#include "text/tokenizer_gguf.h"

#include <fmt/core.h>

#include "text/bpe_tables.h"
#include "text/byte_alphabet.h"
#include "text/patterns.h"
#include "text/strings.h"

namespace vortex::text {
namespace {

enum GgufTokenType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

constexpr const char* kMetaspace = "\u2581";

// The patterns of llama.cpp for each name of tokenizer.ggml.pre, applied one after the other.
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// DeepSeek-V3: numbers of up to three digits, then Chinese and Japanese, then the rest.
constexpr const char* kShortNumberPattern = R"(\p{N}{1,3})";
constexpr const char* kHanKanaPattern = "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+";
constexpr const char* kDeepseek3Pattern =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// GPT-4o (o200k): words break where small letters turn to capitals, and keep their contraction.
constexpr const char* kGpt4oPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct PreTokenizerName {
  const char* name;
  std::vector<const char*> patterns;
  bool ignore_merges;  // a word that is a piece is that piece
};

std::vector<PreTokenizerName> known_pre_tokenizers() {
  return {{"gpt-2", {kGpt2Pattern}, false},
          {"gpt2", {kGpt2Pattern}, false},
          {"smollm", {kDigitPattern, kGpt2Pattern}, false},
          {"qwen2", {kQwen2Pattern}, false},
          {"llama-bpe", {kLlama3Pattern}, true},
          {"llama3", {kLlama3Pattern}, true},
          {"llama-v3", {kLlama3Pattern}, true},
          {"glm4", {kLlama3Pattern}, false},
          {"chatglm-bpe", {kLlama3Pattern}, false},
          {"deepseek-v3", {kShortNumberPattern, kHanKanaPattern, kDeepseek3Pattern}, false},
          {"gpt-4o", {kGpt4oPattern}, false},
          {"minimax-m2", {kGpt4oPattern}, false}};
}

Error damaged(std::string where, std::string message) {
  return {ErrorCode::kDataLoss, std::move(where), std::move(message), "the GGUF file is damaged"};
}

Result<PreTokenizerName> find_pre_tokenizer(const std::string& pre) {
  std::string names;
  for (PreTokenizerName& known : known_pre_tokenizers()) {
    if (pre == known.name) return std::move(known);
    names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  }
  return Error{ErrorCode::kUnsupported, "tokenizer.ggml.pre", fmt::format("pre-tokenizer '{}' is not supported", pre),
               fmt::format("supported: {}", names)};
}

int32_t type_of(const GgufVocab& vocab, size_t id) {
  if (!vocab.token_types.empty()) return vocab.token_types[id];
  const auto is = [id](int32_t other) { return other >= 0 && static_cast<size_t>(other) == id; };
  return is(vocab.bos) || is(vocab.eos) || is(vocab.unk) || is(vocab.pad) ? kControl : kNormal;
}

Status check_ids(const GgufVocab& vocab) {
  std::vector<int32_t> ids = vocab.extra_end_ids;
  ids.insert(ids.end(), {vocab.bos, vocab.eos, vocab.unk, vocab.pad});
  for (const int32_t id : ids) {
    if (id < -1 || id >= static_cast<int64_t>(vocab.tokens.size())) {
      return damaged("tokenizer.ggml",
                     fmt::format("special token {} is outside the vocabulary of {}", id, vocab.tokens.size()));
    }
  }
  return {};
}

Status check(const GgufVocab& vocab) {
  const size_t count = vocab.tokens.size();
  if (count == 0 || count > static_cast<size_t>(kMaxVocabSize)) {
    return damaged("tokenizer.ggml.tokens", fmt::format("{} tokens; 1 to {} are possible", count, kMaxVocabSize));
  }
  if (!vocab.token_types.empty() && vocab.token_types.size() != count) {
    return damaged("tokenizer.ggml.token_type", fmt::format("{} types for {} tokens", vocab.token_types.size(), count));
  }
  return check_ids(vocab);
}

// Control tokens are sought in trusted text, user-defined ones in any.
void add_tokens(const GgufVocab& vocab, TokenizerParts& parts) {
  std::vector<Token> tokens;
  std::vector<AddedToken> added;
  for (size_t id = 0; id < vocab.tokens.size(); ++id) {
    const int32_t type = type_of(vocab, id);
    const bool special = type == kControl || type == kUnknown;
    tokens.push_back({vocab.tokens[id], !special && type != kByte, special});
    if (special || type == kUserDefined) added.push_back({static_cast<int32_t>(id), vocab.tokens[id], special});
  }
  parts.vocabulary = Vocabulary(std::move(tokens));
  parts.raw_added = AddedTokens(std::move(added));
}

// A merge is "left right"; the left part may itself begin with a space.
Result<std::vector<MergeText>> split_merges(const std::vector<std::string>& merges) {
  std::vector<MergeText> out;
  out.reserve(merges.size());
  for (const std::string& merge : merges) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos) {
      return damaged("tokenizer.ggml.merges", fmt::format("entry {} is not a pair of pieces", out.size()));
    }
    const std::string_view text = merge;
    out.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  return out;
}

Status add_byte_level(const GgufVocab& vocab, TokenizerParts& parts) {
  VORTEX_ASSIGN_OR_RETURN(const PreTokenizerName pre, find_pre_tokenizer(vocab.pre));
  std::vector<PreTokenizerStep> steps;
  for (const char* pattern : pre.patterns) {
    VORTEX_ASSIGN_OR_RETURN(Regex regex, Regex::compile(pattern));
    steps.emplace_back(Splitter{std::move(regex), SplitBehavior::kIsolated, false});
  }
  steps.emplace_back(ByteAlphabetStep{});
  parts.pre_tokenizer = PreTokenizer(std::move(steps));

  VORTEX_ASSIGN_OR_RETURN(const std::vector<MergeText> merges, split_merges(vocab.merges));
  VORTEX_ASSIGN_OR_RETURN(parts.bpe, tables_from_merges(parts.vocabulary, merges));
  for (int32_t id = 0; pre.ignore_merges && id < parts.vocabulary.size(); ++id) {
    if (parts.vocabulary[id].mergeable) parts.bpe.words.emplace(parts.vocabulary[id].piece, id);
  }
  for (size_t id = 0; id < vocab.tokens.size(); ++id) {
    const int32_t type = type_of(vocab, id);
    auto bytes = type == kNormal || type == kUnused ? bytes_of_characters(vocab.tokens[id]) : std::nullopt;
    parts.decoder.bytes.push_back(bytes ? std::move(*bytes) : vocab.tokens[id]);
  }
  return {};
}

std::string sentencepiece_bytes(const std::string& piece, int32_t type) {
  if (type == kByte) {
    const int byte = byte_of_piece(piece);
    return byte < 0 ? piece : std::string(1, static_cast<char>(byte));
  }
  return type == kControl || type == kUnknown ? piece : replace_all(piece, kMetaspace, " ");
}

Status add_sentencepiece(const GgufVocab& vocab, TokenizerParts& parts) {
  VORTEX_ASSIGN_OR_RETURN(Regex space, Regex::compile(escaped_pattern(" ")));
  std::vector<NormalizerStep> steps;
  if (vocab.add_space_prefix) steps.emplace_back(PrependStep{" "});
  steps.emplace_back(ReplaceStep{std::move(space), kMetaspace});
  parts.normalizer = Normalizer(std::move(steps));

  VORTEX_ASSIGN_OR_RETURN(parts.bpe, tables_from_scores(parts.vocabulary, vocab.scores));
  parts.bpe.byte_tokens = byte_tokens_of(parts.vocabulary);
  parts.bpe.unknown = vocab.unk;
  for (size_t id = 0; id < vocab.tokens.size(); ++id) {
    parts.decoder.bytes.push_back(sentencepiece_bytes(vocab.tokens[id], type_of(vocab, id)));
  }
  parts.decoder.strip_count = vocab.add_space_prefix ? 1 : 0;
  return {};
}

void add_ends(const GgufVocab& vocab, TokenizerParts& parts) {
  parts.bos = vocab.bos;
  parts.eos = vocab.eos;
  parts.unk = vocab.unk;
  parts.pad = vocab.pad;
  if (vocab.add_bos && vocab.bos >= 0) parts.prefix = {vocab.bos};
  if (vocab.add_eos && vocab.eos >= 0) parts.suffix = {vocab.eos};
  if (vocab.eos >= 0) parts.end_ids = {vocab.eos};
  for (const int32_t id : vocab.extra_end_ids) {
    if (id >= 0) parts.end_ids.push_back(id);
  }
}

}  // namespace

Result<TokenizerParts> parts_from_gguf(const GgufVocab& vocab) {
  VORTEX_RETURN_IF_ERROR(check(vocab));
  TokenizerParts parts;
  add_tokens(vocab, parts);
  if (vocab.model == "gpt2") {
    VORTEX_RETURN_IF_ERROR(add_byte_level(vocab, parts));
  } else if (vocab.model == "llama") {
    VORTEX_RETURN_IF_ERROR(add_sentencepiece(vocab, parts));
  } else {
    return Error{ErrorCode::kUnsupported, "tokenizer.ggml.model",
                 fmt::format("tokenizer model '{}' is not supported", vocab.model), "supported: gpt2, llama"};
  }
  add_ends(vocab, parts);
  return parts;
}

}  // namespace vortex::text

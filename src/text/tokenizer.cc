#include "text/tokenizer.h"

#include <algorithm>

#include "text/tokenizer_gguf.h"
#include "text/tokenizer_json.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"

namespace vortex::text {
namespace {

// Sorted, disjoint, inside the text.
std::vector<TextRange> tidy(std::span<const TextRange> ranges, size_t size) {
  std::vector<TextRange> sorted(ranges.begin(), ranges.end());
  std::sort(sorted.begin(), sorted.end(), [](TextRange a, TextRange b) { return a.begin < b.begin; });
  std::vector<TextRange> out;
  for (TextRange range : sorted) {
    range.end = std::min(range.end, size);
    if (range.begin >= range.end) continue;
    if (!out.empty() && range.begin <= out.back().end) {
      out.back().end = std::max(out.back().end, range.end);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

struct MarkedText {
  std::string text;
  std::vector<TextRange> untrusted;
};

// Repairs trusted and untrusted parts one by one, so that each keeps its mark.
MarkedText repaired(std::string_view text, const std::vector<TextRange>& untrusted) {
  MarkedText out;
  size_t done = 0;
  for (const TextRange& range : untrusted) {
    out.text += repaired_utf8(text.substr(done, range.begin - done));
    const size_t begin = out.text.size();
    out.text += repaired_utf8(text.substr(range.begin, range.size()));
    out.untrusted.push_back({begin, out.text.size()});
    done = range.end;
  }
  out.text += repaired_utf8(text.substr(done));
  return out;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_json(std::string_view tokenizer_json,
                                                        std::string_view tokenizer_config_json) {
  VORTEX_ASSIGN_OR_RETURN(TokenizerParts parts, parts_from_json(tokenizer_json, tokenizer_config_json));
  return std::make_unique<Tokenizer>(std::move(parts));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_gguf(const GgufVocab& vocab) {
  VORTEX_ASSIGN_OR_RETURN(TokenizerParts parts, parts_from_gguf(vocab));
  return std::make_unique<Tokenizer>(std::move(parts));
}

Tokenizer::Tokenizer(TokenizerParts parts) : parts_(std::make_unique<const TokenizerParts>(std::move(parts))) {}
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, SpecialTokens special) const {
  const TextRange everything{0, text.size()};
  return encode_marked(text, {&everything, special == SpecialTokens::kIgnore ? 1u : 0u});
}

std::vector<int32_t> Tokenizer::encode_marked(std::string_view text, std::span<const TextRange> untrusted) const {
  std::vector<TextRange> marks = tidy(untrusted, text.size());
  MarkedText mended;
  if (!is_valid_utf8(text)) {
    mended = repaired(text, marks);
    text = mended.text;
    marks = std::move(mended.untrusted);
  }
  std::vector<int32_t> ids;
  BpeEncoder encoder(parts_->bpe);
  for (const Segment& segment : parts_->raw_added.split(text, marks)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
    } else {
      encode_plain(text.substr(segment.range.begin, segment.range.size()), segment.range.begin == 0, encoder, ids);
    }
  }
  return ids;
}

void Tokenizer::encode_plain(std::string_view text, bool at_start, BpeEncoder& encoder,
                             std::vector<int32_t>& ids) const {
  const std::string normalized = parts_->normalizer.apply(text);
  for (const Segment& segment : parts_->normalized_added.split(normalized, {})) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
      continue;
    }
    const Words words = parts_->pre_tokenizer.apply(normalized.substr(segment.range.begin, segment.range.size()),
                                                    at_start && segment.range.begin == 0);
    for (const TextRange& word : words.ranges) {
      encoder.encode(std::string_view(words.text).substr(word.begin, word.size()), ids);
    }
  }
}

std::vector<int32_t> Tokenizer::with_bos_eos(std::span<const int32_t> ids) const {
  std::vector<int32_t> out = parts_->prefix;
  out.insert(out.end(), ids.begin(), ids.end());
  out.insert(out.end(), parts_->suffix.begin(), parts_->suffix.end());
  return out;
}

bool Tokenizer::adds_bos() const { return !parts_->prefix.empty(); }
bool Tokenizer::adds_eos() const { return !parts_->suffix.empty(); }

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  DecodeStream stream(parts_->decoder);
  for (const int32_t id : ids) {
    if (!(skip_special && is_special(id))) stream.append(id, bytes);
  }
  return is_valid_utf8(bytes) ? bytes : repaired_utf8(bytes);
}

int32_t Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }
std::string_view Tokenizer::token_bytes(int32_t id) const { return parts_->decoder.token_bytes(id); }
std::string_view Tokenizer::token_piece(int32_t id) const {
  return parts_->vocabulary.contains(id) ? std::string_view(parts_->vocabulary[id].piece) : std::string_view();
}
int32_t Tokenizer::token_id(std::string_view piece) const { return parts_->vocabulary.id_of(piece); }
bool Tokenizer::is_special(int32_t id) const {
  return parts_->vocabulary.contains(id) && parts_->vocabulary[id].special;
}
int32_t Tokenizer::bos_id() const { return parts_->bos; }
int32_t Tokenizer::eos_id() const { return parts_->eos; }
int32_t Tokenizer::unk_id() const { return parts_->unk; }
int32_t Tokenizer::pad_id() const { return parts_->pad; }
const std::vector<int32_t>& Tokenizer::end_ids() const { return parts_->end_ids; }
const TokenDecoder& Tokenizer::decoder() const { return parts_->decoder; }

}  // namespace vortex::text

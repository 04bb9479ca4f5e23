// The decoder of tokenizer.json, run over each token of the vocabulary once.
#include <fmt/core.h>

#include "text/byte_alphabet.h"
#include "text/strings.h"
#include "text/tokenizer_json_steps.h"

namespace vortex::text {
namespace {

struct StripEnds {
  char content = ' ';
  int64_t start = 0;
  int64_t stop = 0;
};

Result<StripEnds> read_strip_ends(const JsonField& field) {
  StripEnds strip;
  VORTEX_ASSIGN_OR_RETURN(const std::string content, field["content"].string());
  VORTEX_ASSIGN_OR_RETURN(strip.start, field["start"].integer(0, INT32_MAX));
  VORTEX_ASSIGN_OR_RETURN(strip.stop, field["stop"].integer(0, INT32_MAX));
  if (content.size() != 1)
    return field.unsupported("a Strip decoder of anything but one ASCII character is not supported");
  strip.content = content.front();
  return strip;
}

void strip_ends(const StripEnds& strip, std::string& text) {
  size_t begin = 0;
  while (begin < text.size() && begin < static_cast<size_t>(strip.start) && text[begin] == strip.content) ++begin;
  text.erase(0, begin);
  for (int64_t i = 0; i < strip.stop && text.ends_with(strip.content); ++i) text.pop_back();
}

class DecoderBuilder {
 public:
  DecoderBuilder(const Vocabulary& vocabulary, const std::vector<bool>& verbatim) : verbatim_(verbatim) {
    for (int32_t id = 0; id < vocabulary.size(); ++id) decoder_.bytes.push_back(vocabulary[id].piece);
  }

  Status add(const JsonField& field) {
    VORTEX_ASSIGN_OR_RETURN(const std::string type, field["type"].string());
    if (type == "Strip") return add_strip(field);
    if (type == "Fuse") {
      fused_ = true;
      return {};
    }
    if (fused_)
      return field.unsupported(fmt::format("decoder '{}' after the tokens are joined is not supported", type));
    if (type == "ByteLevel") return add_byte_level();
    if (type == "ByteFallback") return add_byte_fallback();
    if (type == "Replace") return add_replace(field);
    if (type == "Metaspace") return add_metaspace(field);
    return field.unsupported(fmt::format("decoder '{}' is not supported", type));
  }

  TokenDecoder take() { return std::move(decoder_); }

 private:
  Status add_strip(const JsonField& field) {
    VORTEX_ASSIGN_OR_RETURN(const StripEnds strip, read_strip_ends(field));
    if (!fused_) {
      for (std::string& text : decoder_.bytes) strip_ends(strip, text);
      return {};
    }
    if (strip.stop > 0) return field.unsupported("a Strip decoder at the end of the output is not supported");
    decoder_.strip_content = strip.content;
    decoder_.strip_count = strip.start;
    return {};
  }

  Status add_byte_level() {
    for (size_t id = 0; id < decoder_.bytes.size(); ++id) {
      if (verbatim_[id]) continue;
      if (auto bytes = bytes_of_characters(decoder_.bytes[id])) decoder_.bytes[id] = std::move(*bytes);
    }
    fused_ = true;
    return {};
  }

  Status add_byte_fallback() {
    for (std::string& text : decoder_.bytes) {
      if (const int byte = byte_of_piece(text); byte >= 0) text.assign(1, static_cast<char>(byte));
    }
    return {};
  }

  Status add_replace(const JsonField& field) {
    VORTEX_ASSIGN_OR_RETURN(Regex pattern, read_pattern(field["pattern"]));
    VORTEX_ASSIGN_OR_RETURN(std::string content, field["content"].string());
    const Normalizer replace({ReplaceStep{std::move(pattern), std::move(content)}});
    for (std::string& text : decoder_.bytes) text = replace.apply(text);
    return {};
  }

  Status add_metaspace(const JsonField& field) {
    VORTEX_ASSIGN_OR_RETURN(const std::string replacement, field["replacement"].string());
    VORTEX_ASSIGN_OR_RETURN(const bool prefix_space, field["add_prefix_space"].bool_or(true));
    VORTEX_ASSIGN_OR_RETURN(const std::string scheme,
                            field["prepend_scheme"].string_or(prefix_space ? "always" : "never"));
    if (replacement.empty()) return field.damaged("has an empty replacement");
    for (size_t id = 0; id < decoder_.bytes.size(); ++id) {
      std::string& text = decoder_.bytes[id];
      if (text.find(replacement) == std::string::npos) continue;
      if (scheme != "never") {
        decoder_.first_bytes.emplace(static_cast<int32_t>(id), replace_all(text, replacement, ""));
      }
      text = replace_all(text, replacement, " ");
    }
    return {};
  }

  const std::vector<bool>& verbatim_;
  TokenDecoder decoder_;
  bool fused_ = false;
};

}  // namespace

Result<TokenDecoder> read_decoder(const JsonField& field, const Vocabulary& vocabulary,
                                  const std::vector<bool>& verbatim) {
  VORTEX_ASSIGN_OR_RETURN(const std::vector<JsonField> fields, flattened(field, "decoders"));
  DecoderBuilder builder(vocabulary, verbatim);
  for (const JsonField& step : fields) VORTEX_RETURN_IF_ERROR(builder.add(step));
  return builder.take();
}

}  // namespace vortex::text

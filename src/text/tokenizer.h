// Tokenizer: text to token ids and back. Byte-level BPE and SentencePiece-style BPE, read from a Hugging Face
// tokenizer.json or from the vocabulary of a GGUF file. Immutable and thread-safe.
//
// Text that is not UTF-8 has its ill-formed parts replaced by U+FFFD before it is encoded, and the same
// holds for decoded bytes (one U+FFFD for each maximal subpart, Unicode 15, 3.9).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/text_range.h"

namespace vortex::text {

struct TokenDecoder;
struct TokenizerParts;

/// The vocabulary of a GGUF file, as its metadata tokenizer.ggml.* gives it. Absent ids are -1.
struct GgufVocab {
  std::string model;                // "gpt2" (byte-level BPE by merges) or "llama" (SentencePiece BPE by scores)
  std::string pre;                  // pre-tokenizer of gpt2: one of those in tokenizer_gguf.cc
  std::vector<std::string> tokens;  // by id
  std::vector<int32_t>
      token_types;                  // by id, or empty: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  std::vector<float> scores;        // by id; needed for llama only
  std::vector<std::string> merges;  // "left right", best first; needed for gpt2 only
  int32_t bos = -1, eos = -1, unk = -1, pad = -1;
  std::vector<int32_t> extra_end_ids;  // tokens that end generation besides eos (eot, eom)
  bool add_bos = false, add_eos = false;
  bool add_space_prefix = false;  // llama: a space before the text and after each special token
};

enum class SpecialTokens {
  kParse,   // all of the text is trusted: "<|im_end|>" is that token
  kIgnore,  // none is: "<|im_end|>" is ten characters
};

class Tokenizer {
 public:
  /// `tokenizer_json`: contents of tokenizer.json. `tokenizer_config_json`: contents of
  /// tokenizer_config.json (names of bos, eos, pad and unk, add_bos_token, add_eos_token), or empty.
  /// kDataLoss for damaged files, kUnsupported naming the component that is not known here.
  static Result<std::unique_ptr<Tokenizer>> from_json(std::string_view tokenizer_json,
                                                      std::string_view tokenizer_config_json);
  static Result<std::unique_ptr<Tokenizer>> from_gguf(const GgufVocab& vocab);

  explicit Tokenizer(TokenizerParts parts);
  ~Tokenizer();

  /// Token ids of `text`, without bos or eos. Words of more than 2^28 bytes are cut before merging.
  std::vector<int32_t> encode(std::string_view text, SpecialTokens special) const;

  /// As encode(kParse) of the whole text, but a special token is found only where no byte of it lies in
  /// `untrusted`. Plain added tokens (not special) are found everywhere.
  std::vector<int32_t> encode_marked(std::string_view text, std::span<const TextRange> untrusted) const;

  /// `ids` between what the model wants around a prompt (often bos, seldom eos).
  std::vector<int32_t> with_bos_eos(std::span<const int32_t> ids) const;
  bool adds_bos() const;
  bool adds_eos() const;

  /// Valid UTF-8. Ids out of range give nothing.
  std::string decode(std::span<const int32_t> ids, bool skip_special) const;

  /// Number of ids; an id that the file leaves out has an empty piece.
  int32_t vocab_size() const;

  /// What the token adds to a text, not at its start; may be part of a UTF-8 sequence. Empty out of range.
  std::string_view token_bytes(int32_t id) const;

  /// The token as the file spells it ("Ġthe"). Empty out of range.
  std::string_view token_piece(int32_t id) const;

  /// Id of a piece as the file spells it, or -1.
  int32_t token_id(std::string_view piece) const;

  bool is_special(int32_t id) const;

  /// -1 if the model has none.
  int32_t bos_id() const;
  int32_t eos_id() const;
  int32_t unk_id() const;
  int32_t pad_id() const;

  /// Tokens that end generation, as far as the tokenizer knows (eos first).
  const std::vector<int32_t>& end_ids() const;

  const TokenDecoder& decoder() const;

 private:
  void encode_plain(std::string_view text, bool at_start, class BpeEncoder& encoder, std::vector<int32_t>& ids) const;

  std::unique_ptr<const TokenizerParts> parts_;
};

}  // namespace vortex::text

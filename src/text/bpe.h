// Bpe: byte-pair encoding of one word. Merges are taken by rank, ties from the left, in O(n log n).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/flat_map.h"

namespace vortex::text {

/// Where two neighbouring symbols become one. Lower ranks merge first.
struct Merge {
  int32_t rank = 0;
  int32_t id = 0;
};

/// The tables of a model. Symbols are token ids; ids from `first_virtual` on are characters that are no
/// token themselves but part of one (SentencePiece), and fall back to bytes when left over.
struct BpeTables {
  FlatMap<int32_t> characters;                          // code point -> symbol
  FlatMap<Merge> merges;                                // pair_key(left, right) -> what they become
  std::unordered_map<std::string_view, int32_t> words;  // whole words that skip merging; views of the vocabulary
  std::vector<int32_t> byte_tokens;                     // empty, or 256: the token of each byte, -1 if missing
  std::unordered_map<int32_t, std::string> virtuals;    // text of the virtual symbols
  int32_t first_virtual = INT32_MAX;
  int32_t unknown = -1;       // token for what nothing covers; -1 drops it
  bool fuse_unknown = false;  // one token for neighbouring unknown characters

  static uint64_t pair_key(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
};

/// Encodes words of one text; keeps its buffers and a bounded memory of words already seen. Not thread-safe:
/// make one for each call.
class BpeEncoder {
 public:
  explicit BpeEncoder(const BpeTables& tables) : tables_(tables) {}

  /// Appends the tokens of `word` (valid UTF-8) to `out`, which must be the same vector for all calls and
  /// only be appended to.
  void encode(std::string_view word, std::vector<int32_t>& out);

 private:
  struct Symbol {
    int32_t id;              // -1 once absorbed by the symbol before it
    int32_t becomes;         // what it and the next one merge to, or -1
    int32_t previous, next;  // index, -1 at the ends
  };
  struct Candidate {
    uint64_t order;  // rank, then position: smaller merges first
    int32_t id;      // what the pair becomes
  };
  struct Seen {
    size_t begin, count;  // in `out`
  };
  struct StringHash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  void encode_new(std::string_view word, std::vector<int32_t>& out);
  void merge_word(std::string_view word, std::vector<int32_t>& out);
  void load_symbols(std::string_view word);
  void load_unlisted(std::string_view character);
  void push_symbol(int32_t id);
  void collect_candidates();
  void apply_candidates();
  void merge_with_next(int32_t left, int32_t id);
  bool offer(int32_t left);
  void write_symbols(std::vector<int32_t>& out) const;
  void write_virtual(int32_t id, std::vector<int32_t>& out) const;
  bool has_byte_tokens(std::string_view bytes) const;

  const BpeTables& tables_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
  std::unordered_map<std::string, Seen, StringHash, std::equal_to<>> seen_;
};

}  // namespace vortex::text

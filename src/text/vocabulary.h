// Vocabulary: the pieces of a model by id, and what each may be used for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace vortex::text {

inline constexpr int64_t kMaxVocabSize = int64_t{1} << 22;

struct Token {
  std::string piece;       // as the file spells it; empty for an id that the file leaves out
  bool mergeable = false;  // plain text may become this token; never true of special ones
  bool special = false;    // control: only templates and trusted text may name it
};

class Vocabulary {
 public:
  Vocabulary() = default;
  Vocabulary(const Vocabulary&) = delete;  // ids_ refers to the pieces
  Vocabulary& operator=(const Vocabulary&) = delete;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  /// Ids are positions in `tokens`. Of equal pieces the last one is found by id_of().
  explicit Vocabulary(std::vector<Token> tokens);

  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
  bool contains(int32_t id) const { return id >= 0 && id < size(); }
  const Token& operator[](int32_t id) const { return tokens_[id]; }

  /// -1 if there is no such piece.
  int32_t id_of(std::string_view piece) const;

 private:
  std::vector<Token> tokens_;
  std::unordered_map<std::string_view, int32_t> ids_;
};

/// The byte that a piece "<0x0A>" stands for, or -1.
int byte_of_piece(std::string_view piece);

}  // namespace vortex::text

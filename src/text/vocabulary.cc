#include "text/vocabulary.h"

#include <charconv>

namespace vortex::text {

Vocabulary::Vocabulary(std::vector<Token> tokens) : tokens_(std::move(tokens)) {
  ids_.reserve(tokens_.size());
  for (int32_t id = 0; id < size(); ++id) {
    if (!tokens_[id].piece.empty()) ids_[tokens_[id].piece] = id;
  }
}

int32_t Vocabulary::id_of(std::string_view piece) const {
  const auto it = ids_.find(piece);
  return it == ids_.end() ? -1 : it->second;
}

int byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return -1;
  int byte = 0;
  const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
  return error == std::errc() && end == piece.data() + 5 && byte >= 0 ? byte : -1;
}

}  // namespace vortex::text

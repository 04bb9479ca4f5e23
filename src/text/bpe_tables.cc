#include "text/bpe_tables.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "text/utf8.h"

namespace vortex::text {
namespace {

Error damaged(std::string where, std::string message) {
  return {ErrorCode::kDataLoss, std::move(where), std::move(message), "the tokenizer file is damaged"};
}

// The code point of a piece of exactly one character, or -1.
int64_t single_character(std::string_view piece) {
  if (piece.empty()) return -1;
  const Utf8Unit unit = utf8_unit(piece, 0);
  return unit.kind == Utf8Unit::kCharacter && unit.size == piece.size() ? int64_t{unit.code_point} : -1;
}

void add_characters(const Vocabulary& vocabulary, BpeTables& tables) {
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const int64_t character = single_character(vocabulary[id].piece);
    if (vocabulary[id].mergeable && character >= 0) tables.characters.insert(static_cast<uint64_t>(character), id);
  }
}

// Position of each piece's score among the distinct scores, best first.
std::vector<int32_t> ranks_of(std::span<const float> scores) {
  std::vector<float> distinct(scores.begin(), scores.end());
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<int32_t> ranks;
  ranks.reserve(scores.size());
  for (const float score : scores) {
    const auto it = std::lower_bound(distinct.begin(), distinct.end(), score, std::greater<>());
    ranks.push_back(static_cast<int32_t>(it - distinct.begin()));
  }
  return ranks;
}

class ScoreTables {
 public:
  explicit ScoreTables(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    tables_.first_virtual = vocabulary.size();
    add_characters(vocabulary, tables_);
  }

  // All ways to cut the piece in two symbols.
  void add_piece(int32_t id, int32_t rank) {
    const std::string_view piece = vocabulary_[id].piece;
    for_each_character(piece, [&](char32_t, size_t cut, size_t) {
      if (cut == 0) return;
      const int32_t left = symbol_of(piece.substr(0, cut));
      const int32_t right = symbol_of(piece.substr(cut));
      if (left >= 0 && right >= 0) tables_.merges.insert(BpeTables::pair_key(left, right), {rank, id});
    });
  }

  BpeTables take() { return std::move(tables_); }

 private:
  int32_t symbol_of(std::string_view text) {
    const int64_t character = single_character(text);
    if (character >= 0) return character_symbol(static_cast<uint64_t>(character), text);
    const int32_t id = vocabulary_.id_of(text);
    return id >= 0 && vocabulary_[id].mergeable ? id : -1;
  }

  int32_t character_symbol(uint64_t character, std::string_view text) {
    if (const int32_t* known = tables_.characters.find(character)) return *known;
    const auto fresh = tables_.first_virtual + static_cast<int32_t>(tables_.virtuals.size());
    tables_.characters.insert(character, fresh);
    tables_.virtuals.emplace(fresh, text);
    return fresh;
  }

  const Vocabulary& vocabulary_;
  BpeTables tables_;
};

}  // namespace

Result<BpeTables> tables_from_merges(const Vocabulary& vocabulary, std::span<const MergeText> merges) {
  BpeTables tables;
  add_characters(vocabulary, tables);
  tables.merges.reserve(merges.size());
  std::string joined;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    joined.assign(left).append(right);
    const int32_t ids[] = {vocabulary.id_of(left), vocabulary.id_of(right), vocabulary.id_of(joined)};
    for (const int32_t id : ids) {
      if (id >= 0) continue;
      return damaged(fmt::format("merge {}", rank),
                     fmt::format("'{}' + '{}' names a piece outside the vocabulary", left, right));
    }
    if (!vocabulary[ids[2]].mergeable) continue;
    tables.merges.insert(BpeTables::pair_key(ids[0], ids[1]), {static_cast<int32_t>(rank), ids[2]});
  }
  return tables;
}

Result<BpeTables> tables_from_scores(const Vocabulary& vocabulary, std::span<const float> scores) {
  if (scores.size() != static_cast<size_t>(vocabulary.size())) {
    return damaged("vocabulary", fmt::format("{} scores for {} tokens", scores.size(), vocabulary.size()));
  }
  const auto bad = std::find_if(scores.begin(), scores.end(), [](float score) { return !std::isfinite(score); });
  if (bad != scores.end()) return damaged(fmt::format("token {}", bad - scores.begin()), "its score is not finite");
  ScoreTables builder(vocabulary);
  const std::vector<int32_t> ranks = ranks_of(scores);
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary[id].mergeable) builder.add_piece(id, ranks[id]);
  }
  return builder.take();
}

std::vector<int32_t> byte_tokens_of(const Vocabulary& vocabulary) {
  std::vector<int32_t> tokens(256, -1);
  for (int byte = 0; byte < 256; ++byte) tokens[byte] = vocabulary.id_of(fmt::format("<0x{:02X}>", byte));
  return tokens;
}

}  // namespace vortex::text

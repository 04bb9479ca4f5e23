// Builders of BpeTables: from a list of merges (GPT-2 style) or from the scores of pieces (SentencePiece).
#pragma once

#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "text/bpe.h"
#include "text/vocabulary.h"

namespace vortex::text {

using MergeText = std::pair<std::string_view, std::string_view>;

/// Merges in order of rank. kDataLoss for a merge whose parts or whole are no pieces. No merge leads to a
/// token that is not mergeable.
Result<BpeTables> tables_from_merges(const Vocabulary& vocabulary, std::span<const MergeText> merges);

/// Any two neighbours whose texts join to a piece may merge, best score first. Characters that are no piece
/// become virtual symbols. One finite score for each piece.
Result<BpeTables> tables_from_scores(const Vocabulary& vocabulary, std::span<const float> scores);

/// Entry b is the token "<0xB>" of that byte, or -1.
std::vector<int32_t> byte_tokens_of(const Vocabulary& vocabulary);

}  // namespace vortex::text

#include "text/split.h"

namespace vortex::text {
namespace {

struct Span {
  TextRange range;
  bool is_match = false;
};

// Matches and gaps in order; they cover `text`.
std::vector<Span> spans_of(std::string_view text, const Splitter& splitter) {
  std::vector<Span> spans;
  size_t done = 0;
  for (const TextRange& match : splitter.pattern.find_all(text)) {
    if (match.begin > done) spans.push_back({{done, match.begin}, splitter.invert});
    spans.push_back({match, !splitter.invert});
    done = match.end;
  }
  if (done < text.size()) spans.push_back({{done, text.size()}, splitter.invert});
  return spans;
}

// Does `next` join the piece that ends with `previous`?
bool joins(SplitBehavior behavior, const Span& previous, const Span& next) {
  switch (behavior) {
    case SplitBehavior::kMergedWithPrevious:
      return next.is_match && !previous.is_match;
    case SplitBehavior::kMergedWithNext:
      return previous.is_match && !next.is_match;
    case SplitBehavior::kContiguous:
      return previous.is_match == next.is_match;
    default:
      return false;
  }
}

}  // namespace

void Splitter::split(std::string_view text, TextRange range, std::vector<TextRange>& out) const {
  TextRange piece;
  const auto flush = [&] {
    if (piece.size() > 0) out.push_back({range.begin + piece.begin, range.begin + piece.end});
  };
  const Span* previous = nullptr;
  const std::vector<Span> spans = spans_of(text.substr(range.begin, range.size()), *this);
  for (const Span& span : spans) {
    if (behavior == SplitBehavior::kRemoved && span.is_match) continue;
    if (previous != nullptr && joins(behavior, *previous, span)) {
      piece.end = span.range.end;
    } else {
      flush();
      piece = span.range;
    }
    previous = &span;
  }
  flush();
}

}  // namespace vortex::text

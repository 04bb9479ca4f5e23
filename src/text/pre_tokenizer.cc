#include "text/pre_tokenizer.h"

#include "text/byte_alphabet.h"
#include "text/strings.h"

namespace vortex::text {
namespace {

void run(const Splitter& splitter, bool, Words& words) {
  std::vector<TextRange> ranges;
  ranges.reserve(words.ranges.size());
  for (const TextRange& range : words.ranges) splitter.split(words.text, range, ranges);
  words.ranges = std::move(ranges);
}

// Rebuilds the text word by word: rewrite(word, is_first, out) appends the new form of one word.
template <class Rewrite>
void rewrite_words(Words& words, Rewrite rewrite) {
  std::string text;
  text.reserve(words.text.size() + words.text.size() / 2);
  bool is_first = true;
  for (TextRange& range : words.ranges) {
    const size_t begin = text.size();
    rewrite(std::string_view(words.text).substr(range.begin, range.size()), is_first, text);
    range = {begin, text.size()};
    is_first = false;
  }
  words.text = std::move(text);
}

void run(const PrefixSpaceStep&, bool, Words& words) {
  rewrite_words(words, [](std::string_view word, bool, std::string& out) {
    if (!word.starts_with(' ')) out += ' ';
    out += word;
  });
}

void run(const ByteAlphabetStep&, bool, Words& words) {
  rewrite_words(words, [](std::string_view word, bool, std::string& out) {
    for (const char c : word) out += byte_character(static_cast<uint8_t>(c));
  });
}

void run(const MetaspaceStep& step, bool at_start, Words& words) {
  rewrite_words(words, [&](std::string_view word, bool is_first, std::string& out) {
    const bool wanted = step.prepend == MetaspaceStep::Prepend::kAlways ||
                        (step.prepend == MetaspaceStep::Prepend::kFirst && at_start && is_first);
    if (wanted && !word.starts_with(' ') && !word.starts_with(step.replacement)) out += step.replacement;
    out += replace_all(word, " ", step.replacement);
  });
}

}  // namespace

Words PreTokenizer::apply(std::string text, bool at_start) const {
  Words words{std::move(text), {}};
  if (!words.text.empty()) words.ranges.push_back({0, words.text.size()});
  for (const PreTokenizerStep& step : steps_) {
    std::visit([&](const auto& chosen) { run(chosen, at_start, words); }, step);
  }
  return words;
}

}  // namespace vortex::text

#include "grammar/excluded_words.h"

#include <map>
#include <memory>

#include "text/utf8.h"

namespace vortex::grammar {
namespace {

constexpr size_t kMaxCharacters = 64;

struct WordTree {
  std::map<char32_t, std::unique_ptr<WordTree>> children;
  bool is_word = false;
  bool is_cut = false;  // longer words begin like this
};

void add_word(WordTree& tree, const std::string& word, const CharClass& alphabet) {
  WordTree* at = &tree;
  size_t length = 0;
  for (size_t pos = 0; pos < word.size();) {
    const text::Utf8Unit unit = text::utf8_unit(word, pos);
    if (!alphabet.contains(unit.code_point)) return;  // cannot be written anyway
    if (length++ == kMaxCharacters) {
      at->is_cut = true;
      return;
    }
    auto& child = at->children[unit.code_point];
    if (child == nullptr) child = std::make_unique<WordTree>();
    at = child.get();
    pos += unit.size;
  }
  at->is_word = true;
}

struct Excluder {
  RuleSet& rules;
  const CharClass& alphabet;
  ExprId end;
  ExprId anything;  // that ends

  // What may follow the characters that led to `tree`.
  ExprId rest(const WordTree& tree) const {
    std::vector<ExprId> ways;
    if (tree.is_cut) return rules.choice({});
    if (!tree.is_word) ways.push_back(end);
    CharClass listed;
    for (const auto& [c, child] : tree.children) {
      listed.add({c, c});
      ways.push_back(rules.sequence({rules.char_class(CharClass::of(c)), rest(*child)}));
    }
    ways.push_back(rules.sequence({rules.char_class(alphabet.without(listed)), anything}));
    return rules.choice(std::move(ways));
  }
};

}  // namespace

ExprId excluded_words(RuleSet& rules, const CharClass& alphabet, const std::vector<std::string>& words, ExprId end) {
  WordTree tree;
  for (const std::string& word : words) add_word(tree, word, alphabet);
  const ExprId anything = rules.sequence({rules.repeat(rules.char_class(alphabet), 0), end});
  const RuleId rule = rules.add_rule("other name", anything);
  return Excluder{rules, alphabet, end, rules.rule(rule)}.rest(tree);
}

}  // namespace vortex::grammar

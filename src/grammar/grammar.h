// Structured output: what an answer must match, as the set of tokens that may come next.
//
//   GrammarCompiler compiler(tokenizer, end_ids, vocab_size);
//   VORTEX_ASSIGN_OR_RETURN(auto grammar, compiler.compile({GrammarSource::Kind::kJsonSchema, schema}));
//   GrammarMatcher matcher(grammar);
//   matcher.allowed(bitmask);   // choose a token among the bits
//   matcher.accept(token);
//
// A grammar works on bytes. Every prefix that allowed() permits can be completed to a text of the grammar, as far as
// the vocabulary can spell it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "grammar/caps.h"

namespace vortex::text {
class Tokenizer;
}

namespace vortex::grammar {

struct GrammarSource {
  enum class Kind {
    kJsonObject,  // any JSON object
    kJsonSchema,  // text: a JSON schema, draft 2020-12 (docs/structured-output.md says which keywords)
    kRegex,       // text: a pattern that matches the whole answer
    kChoice,      // choices: the answer is one of them
    kGbnf,        // text: a grammar as llama.cpp writes it, from its rule `root`
  };
  Kind kind = Kind::kJsonObject;
  std::string text;
  std::vector<std::string> choices;
};

/// Immutable for its users; what it remembers of earlier masks is shared by all matchers, thread-safely.
class CompiledGrammar;

class GrammarCompiler {
 public:
  /// `vocab_size`: of the logits, may exceed the tokenizer's; such tokens are never allowed. `end_ids`: tokens that
  /// end an answer. The tokenizer is read here only.
  GrammarCompiler(const text::Tokenizer& tokenizer, std::vector<int32_t> end_ids, int64_t vocab_size, Caps caps = {});
  ~GrammarCompiler();

  /// Thread-safe. Remembers what was compiled last, up to Caps::cache_bytes. kInvalidArgument for a grammar that is
  /// wrong, has a part that is not supported, matches nothing, or goes beyond a cap.
  Result<std::shared_ptr<const CompiledGrammar>> compile(const GrammarSource& source);

  /// Memory of the remembered grammars.
  size_t cached_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Follows one answer. Not thread-safe; copies are independent.
class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<const CompiledGrammar> grammar);
  GrammarMatcher(const GrammarMatcher& other);
  GrammarMatcher& operator=(const GrammarMatcher& other);
  ~GrammarMatcher();

  /// Sets bit i % 32 of word i / 32 when token i may come next, and clears all others; end tokens where the text may
  /// end. `bitmask` has a bit for each token of the vocabulary, at least. False when no token may come: the answer
  /// cannot be completed.
  bool allowed(std::span<uint32_t> bitmask);

  /// Follows a token. False, and nothing changes, when it is not allowed.
  bool accept(int32_t token);

  /// The text so far is complete.
  bool can_end() const;
  /// It is, and nothing may follow.
  bool must_end() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vortex::grammar

#include "grammar/grammar.h"

#include <utility>

#include "grammar/compile_cache.h"
#include "grammar/compiled_grammar.h"
#include "grammar/sources.h"
#include "grammar/token_trie.h"

namespace vortex::grammar {

struct GrammarCompiler::State {
  std::shared_ptr<const TokenTrie> trie;
  Caps caps;
  CompileCache cache;
};

GrammarCompiler::GrammarCompiler(const text::Tokenizer& tokenizer, std::vector<int32_t> end_ids, int64_t vocab_size,
                                 Caps caps)
    : state_(new State{std::make_shared<TokenTrie>(tokenizer, std::move(end_ids), vocab_size), caps,
                       CompileCache(caps.cache_bytes)}) {}

GrammarCompiler::~GrammarCompiler() = default;

// Compiled without a lock: two threads with the same new source do the work twice, and one result is kept.
Result<std::shared_ptr<const CompiledGrammar>> GrammarCompiler::compile(const GrammarSource& source) {
  const std::string key = CompileCache::key_of(source);
  if (auto known = state_->cache.find(key)) return known;
  VORTEX_ASSIGN_OR_RETURN(const RuleSet rules, rules_of(source, state_->caps));
  VORTEX_ASSIGN_OR_RETURN(Automaton automaton, Automaton::build(rules, state_->caps));
  auto compiled = std::make_shared<const CompiledGrammar>(std::move(automaton), state_->trie, state_->caps);
  state_->cache.insert(key, compiled);
  return compiled;
}

size_t GrammarCompiler::cached_bytes() const { return state_->cache.bytes(); }

}  // namespace vortex::grammar

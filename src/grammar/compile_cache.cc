#include "grammar/compile_cache.h"

#include <utility>

#include "base/files.h"
#include "grammar/compiled_grammar.h"

namespace vortex::grammar {
namespace {

// Many small grammars would make every look-up long.
constexpr size_t kMaxEntries = 1024;
constexpr size_t kBytesOfAnEntry = 512;

void append_sized(std::string& out, const std::string& text) { out += fmt::format("{}:{}", text.size(), text); }

}  // namespace

std::string CompileCache::key_of(const GrammarSource& source) {
  std::string all = fmt::format("{}/{}/", static_cast<int>(source.kind), source.choices.size());
  append_sized(all, source.text);
  for (const std::string& choice : source.choices) append_sized(all, choice);
  return sha256_of(all);
}

std::shared_ptr<const CompiledGrammar> CompileCache::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, it->second);
  evict();
  return it->second->grammar;
}

void CompileCache::insert(const std::string& key, std::shared_ptr<const CompiledGrammar> grammar) {
  const std::lock_guard lock(mutex_);
  if (by_key_.contains(key)) return;
  entries_.push_front({key, std::move(grammar)});
  by_key_[key] = entries_.begin();
  evict();
}

// Measured anew each time, because a grammar in use grows by what it remembers. The one just used stays.
void CompileCache::evict() {
  while (entries_.size() > 1 && (entries_.size() > kMaxEntries || bytes_locked() > max_bytes_)) {
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

size_t CompileCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_locked();
}

size_t CompileCache::bytes_locked() const {
  size_t total = 0;
  for (const Entry& entry : entries_) total += entry.grammar->bytes() + kBytesOfAnEntry;
  return total;
}

}  // namespace vortex::grammar

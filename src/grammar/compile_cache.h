// CompileCache: the grammars compiled last, by the SHA-256 of their source, least recently used first to go.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "grammar/grammar.h"

namespace vortex::grammar {

/// Thread-safe.
class CompileCache {
 public:
  explicit CompileCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  static std::string key_of(const GrammarSource& source);

  /// Null when it is not there.
  std::shared_ptr<const CompiledGrammar> find(const std::string& key);
  void insert(const std::string& key, std::shared_ptr<const CompiledGrammar> grammar);
  size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const CompiledGrammar> grammar;
  };

  void evict();
  size_t bytes_locked() const;

  const size_t max_bytes_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the last used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace vortex::grammar

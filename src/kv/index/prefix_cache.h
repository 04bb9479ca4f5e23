// PrefixCache: slabs of earlier prompts, found again by what they hold.
#pragma once

#include <cstdint>
#include <cstring>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "kv/index/block_hash.h"
#include "kv/index/slab_allocator.h"

namespace vortex::kv {

/// A radix tree whose edges are slabs: a node is a slab together with all that came before it, found by its BlockHash.
/// Holds one reference to each of its slabs. Gives up the least recently used slab that nobody else refers to, ends of
/// branches first, so that what is found is always a prefix.
class PrefixCache {
 public:
  explicit PrefixCache(SlabAllocator* allocator) : allocator_(allocator) {}
  ~PrefixCache() { clear(); }
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  /// The slabs of the longest known prefix of `hashes`; they count as used now. The caller retains them.
  std::vector<SlabId> match(std::span<const BlockHash> hashes);

  /// Keeps `slabs`, which hold what `hashes` say. Where a prefix is known already the known slab stays and the
  /// caller's is left to it.
  void insert(std::span<const BlockHash> hashes, std::span<const SlabId> slabs);

  /// Frees up to `count` slabs; returns how many.
  int32_t evict(int32_t count);
  void clear();

  int64_t size() const { return static_cast<int64_t>(nodes_.size()); }
  /// Every node's slab is kept and its parent is there; kInternal names what is not.
  Status check_integrity() const;

 private:
  struct Node {
    BlockHash hash;
    BlockHash parent;
    SlabId slab = 0;
    bool root = false;  // a first slab: no parent
    int32_t children = 0;
  };
  struct FirstBytes {
    size_t operator()(const BlockHash& hash) const {
      size_t out;
      std::memcpy(&out, hash.data(), sizeof out);
      return out;
    }
  };
  using Order = std::list<Node>;

  void touch(std::span<const BlockHash> hashes);
  Order::iterator forget(Order::iterator node);

  SlabAllocator* allocator_;
  Order order_;  // least recently used first; a node stands before its parent
  std::unordered_map<BlockHash, Order::iterator, FirstBytes> nodes_;
};

}  // namespace vortex::kv

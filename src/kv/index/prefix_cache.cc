#include "kv/index/prefix_cache.h"

namespace vortex::kv {

std::vector<SlabId> PrefixCache::match(std::span<const BlockHash> hashes) {
  std::vector<SlabId> slabs;
  for (const BlockHash& hash : hashes) {
    const auto found = nodes_.find(hash);
    if (found == nodes_.end()) break;
    slabs.push_back(found->second->slab);
  }
  touch(hashes.first(slabs.size()));
  return slabs;
}

void PrefixCache::insert(std::span<const BlockHash> hashes, std::span<const SlabId> slabs) {
  VORTEX_CHECK(hashes.size() == slabs.size(), "{} hashes of {} slabs", hashes.size(), slabs.size());
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (nodes_.contains(hashes[i])) continue;
    // One slab cannot be two nodes; its sequence already gave it under another hash, which our own bug only could do.
    VORTEX_CHECK(!allocator_->kept(slabs[i]), "slab {} is in the tree already", slabs[i]);
    allocator_->keep(slabs[i]);
    const bool root = i == 0;
    order_.push_back({hashes[i], root ? BlockHash{} : hashes[i - 1], slabs[i], root});
    nodes_.emplace(hashes[i], std::prev(order_.end()));
    if (!root) ++nodes_.at(hashes[i - 1])->children;
  }
  touch(hashes);
}

/// Deepest first, so that the ends of a branch are the older ones.
void PrefixCache::touch(std::span<const BlockHash> hashes) {
  for (size_t i = hashes.size(); i-- > 0;) order_.splice(order_.end(), order_, nodes_.at(hashes[i]));
}

int32_t PrefixCache::evict(int32_t count) {
  int32_t freed = 0;
  for (auto node = order_.begin(); node != order_.end() && freed < count;) {
    const bool idle = node->children == 0 && allocator_->references(node->slab) == 1;
    if (!idle) {
      ++node;
      continue;
    }
    node = forget(node);
    ++freed;
  }
  return freed;
}

PrefixCache::Order::iterator PrefixCache::forget(Order::iterator node) {
  allocator_->stop_keeping(node->slab);
  if (!node->root) --nodes_.at(node->parent)->children;
  nodes_.erase(node->hash);
  return order_.erase(node);
}

void PrefixCache::clear() {
  for (const Node& node : order_) allocator_->stop_keeping(node.slab);
  nodes_.clear();
  order_.clear();
}

Status PrefixCache::check_integrity() const {
  const auto fault = [](std::string what) { return Error{ErrorCode::kInternal, "prefix cache", std::move(what), ""}; };
  if (nodes_.size() != order_.size()) return fault(fmt::format("{} of {} nodes known", nodes_.size(), order_.size()));
  int64_t children = 0, edges = 0;
  for (const Node& node : order_) {
    if (!allocator_->kept(node.slab)) return fault(fmt::format("slab {} is not kept", node.slab));
    if (!node.root && !nodes_.contains(node.parent)) return fault(fmt::format("slab {} has no parent", node.slab));
    children += node.children;
    edges += !node.root;
  }
  if (children != edges) return fault(fmt::format("{} children, {} edges", children, edges));
  return {};
}

}  // namespace vortex::kv

// KvStore: the memory of all pages of all layers. One pool class for every attention: what a page holds is a list
// of fields, so a new method is a flow, not a new cache.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "tensor/paged.h"

namespace vortex::kv {

struct KvLayout {
  int kv_heads = 0;
  int slab_tokens = 0;  // a multiple of page_tokens
  int page_tokens = 0;
  std::vector<std::vector<FieldSpec>> layer_fields;  // by layer: k, v (or latent), then what the flow declares

  /// Bytes one slab takes over all layers and kv heads.
  int64_t slab_bytes() const;
};

class KvStore {
 public:
  /// Room for `slabs` slabs, one buffer a layer and field; zero-filled. `device` must outlive it.
  static Result<std::unique_ptr<KvStore>> create(const KvLayout& layout, int32_t slabs, device::Device* device);

  /// Valid as long as the store.
  const PageView& layer(int layer) const { return views_[static_cast<size_t>(layer)]; }
  const KvLayout& layout() const { return layout_; }
  int64_t bytes() const { return bytes_; }

  /// Overwrites a slab, all layers and fields: what it holds must not be met again.
  Status erase(SlabId slab);

 private:
  KvStore() = default;

  device::Device* device_ = nullptr;
  KvLayout layout_;
  int64_t bytes_ = 0;
  std::vector<std::unique_ptr<device::Buffer>> buffers_;
  std::vector<std::vector<FieldView>> fields_;  // by layer; never resized once made, views_ point into it
  std::vector<PageView> views_;
};

}  // namespace vortex::kv

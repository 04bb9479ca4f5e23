#include "kv/store/kv_store.h"

namespace vortex::kv {

int64_t KvLayout::slab_bytes() const {
  int64_t page_bytes = 0;
  for (const auto& fields : layer_fields)
    for (const FieldSpec& field : fields) page_bytes += field.page_bytes();
  return page_bytes * kv_heads * (slab_tokens / page_tokens);
}

Result<std::unique_ptr<KvStore>> KvStore::create(const KvLayout& layout, int32_t slabs, device::Device* device) {
  VORTEX_CHECK(layout.page_tokens > 0 && layout.slab_tokens % layout.page_tokens == 0, "slab {} page {}",
               layout.slab_tokens, layout.page_tokens);
  const int64_t pages = int64_t{slabs} * layout.kv_heads * (layout.slab_tokens / layout.page_tokens);
  VORTEX_CHECK(pages > 0 && pages <= INT32_MAX, "{} pages", pages);
  std::unique_ptr<KvStore> store(new KvStore);
  store->device_ = device;
  store->layout_ = layout;
  for (const auto& fields : layout.layer_fields) {
    auto& views = store->fields_.emplace_back();
    for (const FieldSpec& field : fields) {
      VORTEX_ASSIGN_OR_RETURN(auto buffer, device->allocate(pages * field.page_bytes()));
      views.push_back({buffer->data(), field.page_bytes(), field.rows, field.cols, field.dtype});
      store->bytes_ += buffer->bytes();
      store->buffers_.push_back(std::move(buffer));
    }
  }
  for (const auto& views : store->fields_)
    store->views_.push_back(
        {views, layout.kv_heads, layout.page_tokens, layout.slab_tokens, static_cast<int>(store->views_.size())});
  return store;
}

/// The pages of a slab lie one after the other in every field.
Status KvStore::erase(SlabId slab) {
  const int64_t pages = int64_t{layout_.kv_heads} * (layout_.slab_tokens / layout_.page_tokens);
  for (const auto& views : fields_)
    for (const FieldView& field : views)
      VORTEX_RETURN_IF_ERROR(device_->clear(field.base + slab * pages * field.page_bytes, pages * field.page_bytes));
  return {};
}

}  // namespace vortex::kv

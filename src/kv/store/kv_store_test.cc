#include "kv/store/kv_store.h"

#include <gtest/gtest.h>

namespace vortex::kv {
namespace {

KvLayout two_layers() {
  const FieldSpec k{"k", 8, 4, DType::kF32}, v{"v", 8, 4, DType::kF32}, centroids{"centroids", 1, 4, DType::kBF16};
  return {.kv_heads = 2, .slab_tokens = 16, .page_tokens = 8, .layer_fields = {{k, v}, {k, v, centroids}}};
}

TEST(KvStoreTest, SlabBytesCountEveryFieldOfEveryLayer) {
  // A page: k and v of 8 x 4 floats (128 bytes each) in both layers, centroids of 8 bytes in one; 2 heads, 2 pages.
  EXPECT_EQ(two_layers().slab_bytes(), (4 * 128 + 8) * 2 * 2);
}

TEST(KvStoreTest, LayersHoldTheirFieldsAndStartAtZero) {
  auto device = device::make_cpu_device();
  auto store = KvStore::create(two_layers(), 3, device.get());
  ASSERT_TRUE(store.ok());
  EXPECT_EQ((*store)->bytes(), 3 * two_layers().slab_bytes());
  EXPECT_EQ((*store)->layer(0).fields.size(), 2u);
  const PageView& view = (*store)->layer(1);
  ASSERT_EQ(view.fields.size(), 3u);
  EXPECT_EQ(view.fields[2].page_bytes, 8);
  EXPECT_EQ(view.fields[2].page(11) - view.fields[2].base, 88);
  for (int64_t i = 0; i < 12 * view.fields[0].page_bytes; ++i) ASSERT_EQ(view.fields[0].base[i], std::byte{0});
}

TEST(KvStoreTest, NoRoomIsAnErrorThatSaysWhatToDo) {
  auto device = device::make_cpu_device();
  KvLayout layout = two_layers();
  layout.layer_fields[0][0].rows = 1 << 30;
  layout.layer_fields[0][0].cols = 1 << 20;
  auto store = KvStore::create(layout, 3, device.get());
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, ErrorCode::kResourceExhausted);
  EXPECT_NE(store.error().to_string().find("--max-model-len"), std::string::npos);
}

}  // namespace
}  // namespace vortex::kv

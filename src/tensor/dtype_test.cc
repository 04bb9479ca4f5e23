#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include "tensor/tensor_view.h"

namespace vortex {
namespace {

TEST(DType, BytesCountWholeBlocks) {
  EXPECT_EQ(dtype_bytes(DType::kF32, 3), 12);
  EXPECT_EQ(dtype_bytes(DType::kBF16, 0), 0);
  EXPECT_EQ(dtype_bytes(DType::kF8E4M3, 7), 7);
  EXPECT_EQ(dtype_bytes(DType::kI64, 2), 16);
  EXPECT_EQ(dtype_bytes(DType::kQ4_1, 64), 40);
  EXPECT_EQ(dtype_bytes(DType::kQ6_K, 512), 420);
}

TEST(DTypeDeathTest, PartOfABlockIsOurBug) { EXPECT_DEATH(dtype_bytes(DType::kQ8_0, 33), "33 elements of q8_0"); }

TEST(DType, OnlyBlockTypesAreQuantized) {
  EXPECT_FALSE(is_quantized(DType::kF16));
  EXPECT_FALSE(is_quantized(DType::kU8));
  EXPECT_TRUE(is_quantized(DType::kQ8_0));
  EXPECT_TRUE(is_quantized(DType::kQ6_K));
}

TEST(DType, ParsesTheSpellingsOfConfigFiles) {
  EXPECT_EQ(parse_dtype("float32"), DType::kF32);
  EXPECT_EQ(parse_dtype("torch.bfloat16"), DType::kBF16);
  EXPECT_EQ(parse_dtype("BF16"), DType::kBF16);
  EXPECT_EQ(parse_dtype("half"), DType::kF16);
  EXPECT_EQ(parse_dtype("fp8_e5m2"), DType::kF8E5M2);
  EXPECT_EQ(parse_dtype("Q4_K"), DType::kQ4_K);
  EXPECT_EQ(parse_dtype("float64"), std::nullopt);
  EXPECT_EQ(parse_dtype(""), std::nullopt);
}

TEST(DType, EveryNameParsesToItself) {
  for (int i = 0; i <= static_cast<int>(DType::kQ6_K); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (dtype_info(dtype).block_bytes == 0) continue;  // codes are named by the fields that use them
    EXPECT_EQ(parse_dtype(dtype_info(dtype).name), dtype) << i;
  }
}

TEST(TensorView, ShapeSpeaksRowMajor) {
  const TensorView view{nullptr, DType::kQ8_0, {6, 2, 64}};
  EXPECT_EQ(view.rows(), 6);
  EXPECT_EQ(view.cols(), 128);
  EXPECT_EQ(view.bytes(), 6 * 2 * 68);
  EXPECT_EQ(view.shape.to_string(), "[6, 2, 64]");
  EXPECT_EQ(Shape().elements(), 1);
}

}  // namespace
}  // namespace vortex

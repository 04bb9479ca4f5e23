#include "kernels/transposed.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/testing/random_weights.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels {
namespace {

using testing::random_matrix;
using testing::RandomMatrix;

std::vector<float> decoded(const TensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.shape.elements()));
  dequantize(view.dtype, view.data, values.data(), view.shape.elements());
  return values;
}

void expect_transposed(const RandomMatrix& source, int64_t first, int64_t step, DType dtype) {
  const OwnedTensor turned = transposed(source.view, first, step).value();
  const int64_t rows = source.view.rows(), cols = source.view.cols();
  ASSERT_EQ(turned.view.dtype, dtype);
  ASSERT_EQ(turned.view.shape, (Shape{(cols - first + step - 1) / step, rows}));
  ASSERT_EQ(turned.view.data, turned.memory.get());
  const std::vector<float> from = decoded(source.view), to = decoded(turned.view);
  for (int64_t c = 0; c < turned.view.rows(); ++c)
    for (int64_t r = 0; r < rows; ++r) {
      const float value = from[static_cast<size_t>(r * cols + first + c * step)];
      const float want = is_quantized(source.view.dtype) ? f16_to_f32(f32_to_f16(value)) : value;
      ASSERT_EQ(to[static_cast<size_t>(c * rows + r)], want) << "row " << r << ", column " << first + c * step;
    }
}

TEST(Transposed, FloatsKeepTheirBits) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16})
    for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 1}, {16, 7}, {37, 33}, {3, 100}})
      expect_transposed(random_matrix(dtype, rows, cols, 1), 0, 1, dtype);
}

TEST(Transposed, BlocksBecomeHalves) {
  for (const DType dtype : {DType::kQ8_0, DType::kQ4_0, DType::kQ5_1, DType::kQ4_K, DType::kQ6_K})
    expect_transposed(random_matrix(dtype, 19, 512, 2), 0, 1, DType::kF16);
}

TEST(Transposed, TakesEveryOtherColumn) {
  for (const int64_t first : {0, 1}) {
    expect_transposed(random_matrix(DType::kBF16, 20, 34, 3), first, 2, DType::kBF16);
    expect_transposed(random_matrix(DType::kBF16, 20, 35, 3), first, 2, DType::kBF16);
    expect_transposed(random_matrix(DType::kQ8_0, 20, 64, 3), first, 2, DType::kF16);
  }
}

TEST(Transposed, RefusesWhatIsNoMatrix) {
  const std::vector<std::byte> bytes(64);
  EXPECT_EQ(transposed({bytes.data(), DType::kF32, Shape{16}}).error().to_string(),
            "a weight of shape [16] is not a matrix (check the file)");
  EXPECT_EQ(transposed({bytes.data(), DType::kI32, Shape{4, 4}}).error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace vortex::kernels

#include "model/weight_quantizer.h"

#include <gtest/gtest.h>

#include "attention/attention.h"
#include "kernels/testing/random_weights.h"
#include "loader/model_files.h"
#include "model/decoder.h"

namespace vortex::model {
namespace {

using kernels::testing::random_matrix;

class WeightQuantizerTest : public ::testing::Test {
 protected:
  WorkerPool pool_{2};
};

TEST_F(WeightQuantizerTest, LayersTakeTheTypeThatIsAskedForAndTheHeadTakesEightBits) {
  const auto weight = random_matrix(DType::kBF16, 5, 64, 1);
  for (const DType type : {DType::kQ8_0, DType::kQ4_0}) {
    WeightQuantizer quantizer({type, &pool_});
    EXPECT_EQ((*quantizer.quantized(weight.view, MatrixRole::kLayer))->view.dtype, type);
    EXPECT_EQ((*quantizer.quantized(weight.view, MatrixRole::kSecondForm))->view.dtype, type);
    EXPECT_EQ((*quantizer.quantized(weight.view, MatrixRole::kHead))->view.dtype, DType::kQ8_0);
  }
}

TEST_F(WeightQuantizerTest, RowsThatAreNoMultipleOfABlockStayAsStored) {
  WeightQuantizer quantizer({DType::kQ8_0, &pool_});
  const auto made = quantizer.quantized(random_matrix(DType::kF32, 5, 48, 1).view, MatrixRole::kLayer);
  ASSERT_TRUE(made.ok());
  EXPECT_FALSE(made->has_value());
}

TEST_F(WeightQuantizerTest, TheSummarySaysWhatBecameWhatAndWhatStayed) {
  WeightQuantizer quantizer({DType::kQ4_0, &pool_});
  const auto odd = random_matrix(DType::kF32, 1000, 48, 1), weight = random_matrix(DType::kF32, 1000, 320, 1);
  for (const MatrixRole role : {MatrixRole::kLayer, MatrixRole::kSecondForm, MatrixRole::kHead})
    ASSERT_TRUE(quantizer.quantized(weight.view, role).ok());
  ASSERT_TRUE(quantizer.quantized(odd.view, MatrixRole::kLayer).ok());
  ::testing::internal::CaptureStderr();
  quantizer.log_summary("some/model");
  const std::string log = ::testing::internal::GetCapturedStderr();
  // 1.28 MB each: 180 bytes a row in Q4_0, 340 in Q8_0.
  EXPECT_NE(log.find("some/model: 2 matrices of 2.6 MB quantised to q4_0 (output head q8_0): 0.5 MB"), log.npos) << log;
  EXPECT_NE(log.find("some/model: 1 matrices of 0.2 MB stay as stored"), log.npos) << log;
}

TEST_F(WeightQuantizerTest, AModelInBlocksIsRefusedByTheNameOfTheWeight) {
  const auto files = ModelFiles::open_dummy(VORTEX_SOURCE_DIR "/tests/data/tiny/llama", DType::kQ5_0).value();
  const auto dense = kernels::make_cpu_dense_ops(&pool_);
  const auto attention = attention::make_cpu_attention_ops(&pool_);
  const auto loaded = Decoder::load(*files, {dense.get(), attention.get()}, Quantization{DType::kQ8_0, &pool_});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().to_string(),
            "model.layers.0.self_attn.q_proj.weight: --quantize q8_0: the weight is stored as q5_0 already (leave "
            "--quantize out)");
}

}  // namespace
}  // namespace vortex::model

// Weights of learned flows: both layouts, layers that are left out, and every way in which a file can be wrong.
#include "loader/layer_matrices.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "loader/testing/model_images.h"
#include "tensor/half.h"

namespace vortex {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::safetensors_image;

class LayerMatrices : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& header, const std::string& data) {
    fs::create_directories(folder_);
    const fs::path path = folder_ / "w.safetensors";
    std::ofstream(path, std::ios::binary) << safetensors_image(header, data);
    return path.string();
  }

  /// Matrices of two layers, [2, 4] each.
  static Result<std::vector<std::vector<uint16_t>>> read(const std::string& path) {
    return read_layer_matrices(path, "w", {2, 2, 4});
  }
  std::string refusal(const std::string& header, size_t bytes) {
    const auto matrices = read(write(header, std::string(bytes, '\0')));
    return matrices.ok() ? "read" : matrices.error().to_string();
  }

  const fs::path folder_ = fs::temp_directory_path() / ("vortex_layer_matrices_" + std::to_string(::getpid()));
};

std::string floats(int first, int count) {
  std::string bytes;
  for (int i = first; i < first + count; ++i) {
    const float x = static_cast<float>(i) / 4;
    bytes.append(reinterpret_cast<const char*>(&x), sizeof(x));
  }
  return bytes;
}

std::vector<uint16_t> rounded(int first, int count) {
  std::vector<uint16_t> out;
  for (int i = first; i < first + count; ++i) out.push_back(f32_to_bf16(static_cast<float>(i) / 4));
  return out;
}

TEST_F(LayerMatrices, AStackOfAllLayers) {
  const auto matrices =
      read(write(R"({"w":{"dtype":"F32","shape":[2,2,4],"data_offsets":[0,64]}})", floats(0, 16))).value();
  EXPECT_EQ(matrices, (std::vector{rounded(0, 8), rounded(8, 8)}));
}

TEST_F(LayerMatrices, OneTensorForEachLayerThatWasTrained) {
  const auto matrices = read(write(R"({"w.1":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]},)"
                                   R"("other":{"dtype":"F32","shape":[1],"data_offsets":[32,36]}})",
                                   floats(5, 9)))
                            .value();
  EXPECT_EQ(matrices, (std::vector{std::vector<uint16_t>{}, rounded(5, 8)}));
}

TEST_F(LayerMatrices, WhatIsRefused) {
  EXPECT_THAT(refusal(R"({"w":{"dtype":"F32","shape":[2,2,5],"data_offsets":[0,80]}})", 80),
              HasSubstr("w.safetensors: tensor 'w' is [2, 2, 5], the model needs [2, 2, 4]"));
  EXPECT_THAT(refusal(R"({"w.0":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]}})", 32),
              HasSubstr("tensor 'w.0' is [4, 2], the model needs [2, 4]"));
  EXPECT_THAT(refusal(R"({"w.2":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]}})", 32),
              HasSubstr("tensor 'w.2' is of a layer the model does not have (it has layers 0 to 1)"));
  EXPECT_THAT(
      refusal(R"({"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
      HasSubstr("has neither a tensor 'w' nor any 'w.N', N the layer ('w' is [2, 2, 4], or each 'w.N' [2, 4])"));
  EXPECT_THAT(refusal(R"({"w":{"dtype":"I32","shape":[2,2,4],"data_offsets":[0,64]}})", 64), HasSubstr("of type"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"per_layer":"false"},)"
                      R"("w":{"dtype":"F32","shape":[2,2,4],"data_offsets":[0,64]}})",
                      64),
              HasSubstr("its metadata says \"per_layer\": \"false\": one matrix for all layers (train one"));
  EXPECT_THAT(read((folder_ / "none").string()).error().to_string(), HasSubstr("none"));
}

}  // namespace
}  // namespace vortex

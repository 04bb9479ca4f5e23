// Block decoding against vectors made by an independent implementation (tests/data/tensor/make_quant_blocks.py).
#include "tensor/quant_blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <vector>

namespace vortex {
namespace {

constexpr DType kBlockTypes[] = {DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,
                                 DType::kQ5_1, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};

struct Vectors {
  DType dtype;
  std::vector<char> blocks;
  std::vector<float> floats;
};

std::vector<Vectors> read_vectors() {
  std::ifstream in(VORTEX_SOURCE_DIR "/tests/data/tensor/quant_blocks.bin", std::ios::binary);
  std::vector<Vectors> all;
  for (DType dtype : kBlockTypes) {
    uint32_t count = 0;
    in.read(reinterpret_cast<char*>(&count), 4);
    const DTypeInfo& info = dtype_info(dtype);
    Vectors v{dtype, std::vector<char>(count * static_cast<size_t>(info.block_bytes)),
              std::vector<float>(count * static_cast<size_t>(info.block_elements))};
    in.read(v.blocks.data(), static_cast<std::streamsize>(v.blocks.size()));
    in.read(reinterpret_cast<char*>(v.floats.data()), static_cast<std::streamsize>(v.floats.size() * 4));
    all.push_back(std::move(v));
  }
  EXPECT_TRUE(in.good());
  EXPECT_EQ(in.peek(), std::ifstream::traits_type::eof());
  return all;
}

TEST(QuantBlocks, DecodesEveryTypeExactly) {
  for (const Vectors& v : read_vectors()) {
    SCOPED_TRACE(dtype_info(v.dtype).name);
    ASSERT_GE(v.floats.size(), 6u * 32);
    std::vector<float> out(v.floats.size(), -1.0f);
    dequantize(v.dtype, v.blocks.data(), out.data(), static_cast<int64_t>(out.size()));
    EXPECT_EQ(out, v.floats);
  }
}

TEST(QuantBlocks, ReadsUnalignedMemory) {
  for (const Vectors& v : read_vectors()) {
    SCOPED_TRACE(dtype_info(v.dtype).name);
    std::vector<char> shifted(v.blocks.size() + 1);
    std::memcpy(shifted.data() + 1, v.blocks.data(), v.blocks.size());
    std::vector<float> out(v.floats.size());
    dequantize(v.dtype, shifted.data() + 1, out.data(), static_cast<int64_t>(out.size()));
    EXPECT_EQ(out, v.floats);
  }
}

TEST(QuantBlocks, DecodesPlainTypes) {
  const float floats[] = {1.0f, -2.5f, 0.0f, 3e38f};
  const uint16_t halves[] = {0x3c00, 0xc100, 0x0000, 0x7bff};
  const uint16_t brains[] = {0x3f80, 0xc020, 0x0000, 0x7f7f};
  float out[4];
  dequantize(DType::kF32, floats, out, 4);
  EXPECT_THAT(out, ::testing::ElementsAreArray(floats));
  dequantize(DType::kF16, halves, out, 4);
  EXPECT_THAT(out, ::testing::ElementsAre(1.0f, -2.5f, 0.0f, 65504.0f));
  dequantize(DType::kBF16, brains, out, 4);
  EXPECT_THAT(out, ::testing::ElementsAre(1.0f, -2.5f, 0.0f, 0x1.fep127f));
}

TEST(QuantBlocksDeathTest, RefusesWhatIsNoWeight) {
  float out[32];
  const char bytes[64] = {};
  EXPECT_DEATH(dequantize(DType::kI32, bytes, out, 1), "int32 is not a weight type");
  EXPECT_DEATH(dequantize(DType::kQ4_0, bytes, out, 31), "31 elements of q4_0");
}

}  // namespace
}  // namespace vortex

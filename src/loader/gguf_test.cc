#include "loader/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/testing/model_images.h"

namespace vortex {
namespace {

using ::testing::AllOf;
using testing::as_bytes;
using ::testing::ElementsAre;
using testing::GgufImage;
using ::testing::HasSubstr;
using ::testing::Pointee;
using testing::ScratchFolder;
using testing::small_llama;
using testing::zeros;

std::string refusal_of_bytes(const std::string& bytes) {
  const auto file = GgufFile::parse(as_bytes(bytes), "m.gguf");
  return file.ok() ? "parsed" : file.error().to_string();
}
std::string refusal(const GgufImage& image) { return refusal_of_bytes(image.build()); }

GgufImage with_field(testing::GgufField field) {
  GgufImage image;
  image.metadata = {{"k", std::move(field)}};
  return image;
}

GgufImage with_tensor(testing::GgufTensor tensor) {
  GgufImage image;
  image.tensors = {std::move(tensor)};
  return image;
}

TEST(Gguf, ReadsMetadataAndTensors) {
  GgufImage image = small_llama();
  image.metadata.push_back({"flag", testing::gguf_bool(1)});
  image.metadata.push_back({"ints", testing::gguf_array(5, 2, std::string("\xff\xff\xff\xff\x02\0\0\0", 8))});
  image.tensors[1].data[3] = '\x40';  // 2.0f
  const std::string bytes = image.build();
  const auto file = GgufFile::parse(as_bytes(bytes), "m.gguf");
  ASSERT_TRUE(file.ok()) << file.error().to_string();
  const GgufFile& gguf = **file;
  EXPECT_EQ(gguf.string("general.architecture"), "llama");
  EXPECT_EQ(gguf.integer("llama.context_length"), 128);
  EXPECT_EQ(gguf.number("llama.rope.freq_base"), 10000.0);
  EXPECT_EQ(gguf.boolean("flag"), true);
  EXPECT_THAT(gguf.integers("ints"), Pointee(ElementsAre(-1, 2)));
  EXPECT_THAT(gguf.strings("tokenizer.ggml.tokens"), Pointee(ElementsAre("a", "b", "c", "d", "e", "f", "<s>", "</s>")));
  EXPECT_EQ(gguf.integer("general.architecture"), std::nullopt) << "of another kind";
  EXPECT_EQ(gguf.find("none"), nullptr);

  const NamedTensor* embedding = gguf.find_tensor("token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->view.shape, (Shape{8, 32})) << "rows first";
  const NamedTensor* norm = gguf.find_tensor("blk.0.attn_norm.weight");
  EXPECT_EQ(*reinterpret_cast<const float*>(norm->view.data), 2.0f);
  EXPECT_EQ(gguf.find_tensor("blk.0.ffn_up.weight")->view.dtype, DType::kQ4_0);
  EXPECT_EQ(gguf.file_bytes(), static_cast<int64_t>(bytes.size()));
}

TEST(Gguf, ReadsBothVersions) {
  GgufImage image = small_llama();
  image.version = 2;
  EXPECT_EQ(refusal(image), "parsed");
}

TEST(Gguf, RefusesEveryTruncation) {
  const std::string bytes = small_llama().build();
  for (size_t size = 0; size < bytes.size(); size += size < 2048 ? 1 : 97) {
    EXPECT_THAT(refusal_of_bytes(bytes.substr(0, size)), HasSubstr("m.gguf: ")) << size;
  }
  EXPECT_THAT(refusal_of_bytes(bytes.substr(0, bytes.size() - 1)), HasSubstr("tensor 'output_norm.weight' needs 128"));
}

TEST(Gguf, RefusesOtherVersionsAndByteOrders) {
  GgufImage image;
  image.magic = "GGML";
  EXPECT_THAT(refusal(image), HasSubstr("is no GGUF file"));
  image.magic = "GGUF";
  image.version = 1;
  EXPECT_THAT(refusal(image), HasSubstr("is GGUF version 1; 2 and 3 can be read"));
  image.version = 0x03000000;
  EXPECT_THAT(refusal(image), HasSubstr("is a big endian GGUF file"));
}

TEST(Gguf, RefusesLyingCounts) {
  GgufImage image;
  image.tensor_count = UINT64_MAX;
  EXPECT_THAT(refusal(image), HasSubstr("claims 18446744073709551615 tensors with"));
  image.tensor_count = 1;
  EXPECT_THAT(refusal(image), HasSubstr("claims 1 tensors with"));
  image = GgufImage();
  image.metadata_count = uint64_t{1} << 60;
  EXPECT_THAT(refusal(image), HasSubstr("claims 1152921504606846976 metadata entries with"));
}

TEST(Gguf, RefusesLyingMetadata) {
  EXPECT_THAT(refusal(with_field({13, "x"})), HasSubstr("unknown value type 13"));
  EXPECT_THAT(refusal(with_field(testing::gguf_bool(2))), HasSubstr("has a boolean of 2"));
  EXPECT_THAT(refusal(with_field(testing::gguf_u64(UINT64_MAX))), HasSubstr("the number 18446744073709551615, out of"));
  EXPECT_THAT(refusal(with_field({8, std::string(8, '\x7f')})), HasSubstr("has a string of 9187201950435737471 bytes"));
  EXPECT_THAT(refusal(with_field({8, std::string("\xff\0\0\0\0\0\0\0", 8)})), HasSubstr("cut off at byte"));
  EXPECT_THAT(refusal(with_field(testing::gguf_array(4, uint64_t{1} << 62, ""))),
              HasSubstr("claims 4611686018427387904 array elements"));
  GgufImage twice = with_field(testing::gguf_u32(1));
  twice.metadata.push_back(twice.metadata[0]);
  EXPECT_THAT(refusal(twice), HasSubstr("has the key 'k' twice"));
  twice.metadata = {{std::string(70000, 'k'), testing::gguf_u32(1)}};
  EXPECT_THAT(refusal(twice), HasSubstr("has a string of 70000 bytes"));
}

testing::GgufField nested_arrays(int depth) {
  testing::GgufField field = testing::gguf_array(4, 0, "");
  for (int i = 1; i < depth; ++i) field = testing::gguf_array(9, 1, field.payload);
  return field;
}

TEST(Gguf, CapsNestedArrays) {
  EXPECT_EQ(refusal(with_field(nested_arrays(4))), "parsed");
  EXPECT_THAT(refusal(with_field(nested_arrays(5))), HasSubstr("nests arrays deeper than 4 levels"));
  EXPECT_THAT(refusal(with_field(nested_arrays(20000))), HasSubstr("nests arrays deeper than 4 levels"));
}

TEST(Gguf, RefusesLyingShapes) {
  EXPECT_THAT(refusal(with_tensor({"t", {}, 0, zeros(8)})), HasSubstr("tensor 't' has 0 dimensions, 1 to 4"));
  EXPECT_THAT(refusal(with_tensor({"t", {1, 1, 1, 1, 1}, 0, zeros(8)})), HasSubstr("tensor 't' has 5 dimensions"));
  EXPECT_THAT(refusal(with_tensor({"t", {4, 0}, 0, zeros(8)})), HasSubstr("tensor 't' has an empty dimension"));
  EXPECT_THAT(refusal(with_tensor({"t", {uint64_t{1} << 32, uint64_t{1} << 32}, 0, zeros(8)})),
              HasSubstr("tensor 't' has the shape [4294967296, 4294967296], impossible for float32"));
  EXPECT_THAT(refusal(with_tensor({"t", {(uint64_t{1} << 62) + 1}, 0, zeros(8)})), HasSubstr("impossible for float32"));
  EXPECT_THAT(refusal(with_tensor({"t", {UINT64_MAX}, 0, zeros(8)})), HasSubstr("out of range"));
  EXPECT_THAT(refusal(with_tensor({"t", {33, 2}, 2, zeros(32)})), HasSubstr("the shape [2, 33], impossible for q4_0"));
}

TEST(Gguf, RefusesLyingOffsets) {
  EXPECT_THAT(refusal(with_tensor({"t", {4}, 0, zeros(4), 4})), HasSubstr("tensor 't' starts at 4, no multiple of 32"));
  EXPECT_THAT(refusal(with_tensor({"t", {4}, 0, zeros(4), 32})),
              HasSubstr("needs 16 bytes from 32; the file holds 16"));
  EXPECT_THAT(refusal(with_tensor({"t", {4}, 0, zeros(4), uint64_t{1} << 62})), HasSubstr("needs 16 bytes from"));
  EXPECT_THAT(refusal(with_tensor({"t", {8}, 0, zeros(4)})), HasSubstr("needs 32 bytes from 0; the file holds 16"));
  GgufImage two = with_tensor({"a", {16}, 0, zeros(16)});
  two.tensors.push_back({"b", {16}, 0, zeros(16), 32});
  EXPECT_THAT(refusal(two), HasSubstr("tensor 'b' overlaps 'a'"));
  two.tensors[1] = two.tensors[0];
  EXPECT_THAT(refusal(two), HasSubstr("has the tensor 'a' twice"));
}

TEST(Gguf, NamesTheTypeItCannotRead) {
  EXPECT_THAT(refusal(with_tensor({"blk.0.x", {256}, 10, zeros(64)})),
              AllOf(HasSubstr("tensor 'blk.0.x' has the type Q2_K"), HasSubstr("Q4_1")));
  EXPECT_THAT(refusal(with_tensor({"t", {256}, 777, zeros(64)})), HasSubstr("tensor 't' has the type number 777"));
}

TEST(Gguf, AlignmentIsAPowerOfTwo) {
  GgufImage image = small_llama();
  image.alignment = 64;
  image.metadata.push_back({"general.alignment", testing::gguf_u32(64)});
  EXPECT_EQ(refusal(image), "parsed");
  for (uint32_t wrong : {0u, 24u, 1u << 30}) {
    image.metadata.back().second = testing::gguf_u32(wrong);
    EXPECT_THAT(refusal(image), HasSubstr("general.alignment is no power of two")) << wrong;
  }
  image.metadata.back().second = testing::gguf_string("32");
  EXPECT_THAT(refusal(image), HasSubstr("general.alignment is no power of two"));
}

/// Part `number` (from 0) of a two-part split with one tensor.
GgufImage part(uint32_t number, const std::string& tensor) {
  GgufImage image = with_tensor({tensor, {4}, 0, zeros(4)});
  image.metadata = {{"split.no", testing::gguf_u32(number)},
                    {"split.count", testing::gguf_u32(2)},
                    {"split.tensors.count", testing::gguf_u32(2)}};
  return image;
}

std::string open_split(const ScratchFolder& folder, const GgufImage& first, const GgufImage& second) {
  const std::string path = folder.write("m-00001-of-00002.gguf", first.build());
  folder.write("m-00002-of-00002.gguf", second.build());
  const auto file = GgufFile::open(path);
  return file.ok() ? fmt::format("{} tensors", (*file)->tensors().size()) : file.error().to_string();
}

TEST(GgufSplit, PartsBecomeOneModel) {
  const ScratchFolder folder;
  EXPECT_EQ(open_split(folder, part(0, "a"), part(1, "b")), "2 tensors");
  EXPECT_THAT(open_split(folder, part(0, "a"), part(1, "a")), HasSubstr("has tensor 'a' in two parts"));
  EXPECT_THAT(open_split(folder, part(0, "a"), part(0, "b")), HasSubstr("00002-of-00002.gguf: is not part 2 of 2"));
  GgufImage lost = part(1, "b");
  lost.tensors.clear();
  EXPECT_THAT(open_split(folder, part(0, "a"), lost), HasSubstr("promises 2 tensors; its parts hold 1"));
}

TEST(GgufSplit, TheFirstPartIsTheDoor) {
  const ScratchFolder folder;
  const auto second = GgufFile::open(folder.write("m-00002-of-00002.gguf", part(1, "b").build()));
  EXPECT_THAT(second.error().to_string(), HasSubstr("name the first part, which ends in -00001-of-00002.gguf"));
  const auto alone = GgufFile::open(folder.write("n-00001-of-00002.gguf", part(0, "a").build()));
  EXPECT_THAT(alone.error().to_string(), HasSubstr("n-00002-of-00002.gguf: No such file"));
}

}  // namespace
}  // namespace vortex

#include "loader/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "loader/testing/model_images.h"

namespace vortex {
namespace {

using testing::as_bytes;
using ::testing::HasSubstr;
using testing::safetensors_image;
using testing::ScratchFolder;
using testing::small_safetensors;

std::string refusal(const std::string& image) {
  const auto tensors = parse_safetensors(as_bytes(image), "m.safetensors");
  return tensors.ok() ? "parsed" : tensors.error().to_string();
}

/// A file with the one header entry "t" and `bytes` of data.
std::string with_entry(const std::string& entry, size_t bytes) {
  return safetensors_image(R"({"t":)" + entry + "}", std::string(bytes, '\0'));
}

TEST(Safetensors, ReadsNamesTypesShapesAndData) {
  const std::string image = small_safetensors();
  const auto tensors = parse_safetensors(as_bytes(image), "m");
  ASSERT_TRUE(tensors.ok()) << tensors.error().to_string();
  ASSERT_EQ(tensors->size(), 2u);
  const NamedTensor& a = tensors->at(0);
  const NamedTensor& b = tensors->at(1);
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.view.dtype, DType::kF32);
  EXPECT_EQ(a.view.shape, (Shape{2, 3}));
  EXPECT_EQ(b.view.dtype, DType::kBF16);
  EXPECT_EQ(b.view.shape, (Shape{4}));
  EXPECT_EQ(b.view.data - a.view.data, 24);
  EXPECT_EQ(reinterpret_cast<const char*>(b.view.data) + 8, image.data() + image.size());
}

TEST(Safetensors, TakesScalarsEmptyTensorsAndPaddedHeaders) {
  EXPECT_EQ(refusal(with_entry(R"({"dtype":"F32","shape":[],"data_offsets":[0,4]})", 4)), "parsed");
  EXPECT_EQ(refusal(safetensors_image(R"({"e":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},)"
                                      R"("f":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   )",
                                      "xy")),
            "parsed");
  EXPECT_EQ(refusal(safetensors_image("{}", "")), "parsed");
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::string image = small_safetensors();
  for (size_t size = 0; size < image.size(); ++size) {
    EXPECT_THAT(refusal(image.substr(0, size)), HasSubstr("m.safetensors: ")) << size;
  }
}

TEST(Safetensors, RefusesLyingHeaderLengths) {
  EXPECT_THAT(refusal("1234567"), HasSubstr("only 7 bytes, cut off"));
  EXPECT_THAT(refusal(safetensors_image("{}", "", 0)), HasSubstr("does not start with a safetensors header"));
  EXPECT_THAT(refusal(safetensors_image("{}", "", 3)), HasSubstr("claims a header of 3 bytes; the file has 10"));
  EXPECT_THAT(refusal(safetensors_image("{}", "", UINT64_MAX)), HasSubstr("claims a header of 18446744073709551615"));
  EXPECT_THAT(refusal(safetensors_image("{}", "", 100'000'001)), HasSubstr("claims a header of 100000001"));
  EXPECT_THAT(refusal(safetensors_image("[]", "")), HasSubstr("does not start with a safetensors header"));
}

TEST(Safetensors, RefusesLyingShapes) {
  EXPECT_THAT(refusal(with_entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", 4)),
              HasSubstr("tensor 't' of shape [2] needs 8 bytes but has 4"));
  EXPECT_THAT(refusal(with_entry(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]})", 4)),
              HasSubstr("impossible shape"));
  EXPECT_THAT(refusal(with_entry(R"({"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]})", 4)),
              HasSubstr("impossible shape"));
  EXPECT_THAT(refusal(with_entry(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", 4)),
              HasSubstr("a dimension that is no size"));
  EXPECT_THAT(refusal(with_entry(R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})", 4)),
              HasSubstr("a dimension that is no size"));
  EXPECT_THAT(refusal(with_entry(R"({"dtype":"U8","shape":[1,1,1,2,2],"data_offsets":[0,4]})", 4)),
              HasSubstr("tensor 't' has 5 dimensions, at most 4"));
}

TEST(Safetensors, RefusesLyingOffsets) {
  const auto offsets = [](const std::string& range) {
    return refusal(with_entry(R"({"dtype":"U8","shape":[4],"data_offsets":)" + range + "}", 4));
  };
  EXPECT_EQ(offsets("[0,4]"), "parsed");
  EXPECT_THAT(offsets("[4,0]"), HasSubstr("data_offsets that are no range"));
  EXPECT_THAT(offsets("[-4,0]"), HasSubstr("data_offsets that are no range"));
  EXPECT_THAT(offsets("[1,5]"), HasSubstr("ends at data byte 5; the file holds 4"));
  EXPECT_THAT(offsets("[0,18446744073709551615]"), HasSubstr("data_offsets that are no range"));
  EXPECT_THAT(offsets("[0]"), HasSubstr("no data_offsets"));
}

TEST(Safetensors, DataIsCoveredExactly) {
  const auto two = [](const std::string& first, const std::string& second, size_t bytes) {
    return refusal(safetensors_image(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
                                         R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}",
                                     std::string(bytes, '\0')));
  };
  EXPECT_EQ(two("[4,8]", "[0,4]", 8), "parsed");
  EXPECT_THAT(two("[0,4]", "[2,6]", 8), HasSubstr("tensor 'b' overlaps another tensor"));
  EXPECT_THAT(two("[0,4]", "[5,9]", 9), HasSubstr("tensor 'b' leaves a gap at data byte 4"));
  EXPECT_THAT(two("[0,4]", "[4,8]", 9), HasSubstr("holds 9 bytes of data; its tensors need 8"));
}

TEST(Safetensors, RefusesWhatItCannotRead) {
  EXPECT_THAT(refusal(with_entry(R"({"dtype":"F64","shape":[1],"data_offsets":[0,8]})", 8)),
              HasSubstr("tensor 't' has dtype 'F64'"));
  EXPECT_THAT(refusal(with_entry(R"({"shape":[1],"data_offsets":[0,8]})", 8)), HasSubstr("tensor 't' has no dtype"));
  EXPECT_THAT(refusal(with_entry("7", 0)), HasSubstr("tensor 't' is not described by an object"));
  EXPECT_THAT(refusal(safetensors_image(R"({"t":{},"t":{}})", "")), HasSubstr("the key 't' comes twice"));
  EXPECT_THAT(refusal(with_entry(R"({"shape":[[[[]]]]})", 0)), HasSubstr("nests deeper than 3 levels"));
}

constexpr std::string_view kShardA = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
constexpr std::string_view kShardB = R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";

/// A folder of two shards under this weight_map.
std::string open_with_index(const ScratchFolder& folder, const std::string& weight_map) {
  folder.write("1.safetensors", safetensors_image(kShardA, "xy"));
  folder.write("2.safetensors", safetensors_image(kShardB, "zw"));
  folder.write("model.safetensors.index.json", R"({"weight_map":)" + weight_map + "}");
  const auto model = open_safetensors(folder.path());
  if (!model.ok()) return model.error().to_string();
  return fmt::format("{} files, {} tensors", model->files.size(), model->tensors.size());
}

TEST(SafetensorsFolder, ShardsAndIndexMustAgree) {
  const ScratchFolder folder;
  EXPECT_EQ(open_with_index(folder, R"({"a":"1.safetensors","b":"2.safetensors"})"), "2 files, 2 tensors");
  EXPECT_THAT(open_with_index(folder, R"({"a":"1.safetensors","c":"2.safetensors"})"),
              HasSubstr("2.safetensors: holds tensor 'b', which the index puts elsewhere"));
  EXPECT_THAT(open_with_index(folder, R"({"a":"1.safetensors","c":"1.safetensors"})"),
              HasSubstr("1.safetensors: lacks tensor 'c'"));
  EXPECT_THAT(open_with_index(folder, R"({"a":"../1.safetensors"})"),
              HasSubstr("names '../1.safetensors', which is no"));
  EXPECT_THAT(open_with_index(folder, R"({"a":"3.safetensors"})"), HasSubstr("3.safetensors: No such file"));
  EXPECT_THAT(open_with_index(folder, "{}"), HasSubstr("has no weight_map"));
  EXPECT_THAT(open_with_index(folder, R"({"a":1})"), HasSubstr("weight_map of 'a' is no file name"));
}

std::string folder_refusal(const ScratchFolder& folder) { return open_safetensors(folder.path()).error().to_string(); }

TEST(SafetensorsFolder, SaysWhatAFolderHoldsInstead) {
  const ScratchFolder folder;
  EXPECT_THAT(folder_refusal(folder), HasSubstr("has neither model.safetensors nor"));
  folder.write("x.gguf", "GGUF");
  EXPECT_THAT(folder_refusal(folder), HasSubstr("holds GGUF files, no safetensors (name the file: "));
  for (const char* name : {"pytorch_model.bin", "a.pt", "a.pth", "a.ckpt"}) {
    const std::string path = folder.write(name, "x");
    EXPECT_THAT(folder_refusal(folder), HasSubstr(fmt::format("Python pickle ('{}'), which can run any code", name)));
    std::filesystem::remove(path);
  }
}

}  // namespace
}  // namespace vortex

#include "engine/vortex_config.h"

#include <gtest/gtest.h>

namespace vortex {
namespace {

std::string error_of(std::string_view json) {
  auto config = parse_vortex_config(json, "test");
  return config.ok() ? "no error" : config.error().to_string();
}

TEST(VortexConfigTest, DefaultsAreTheOriginals) {
  const VortexConfig c = parse_vortex_config("{}", "test").value().value();
  EXPECT_EQ(to_json(c),
            R"({"topk_val":30,"max_topk_val":null,"layers_skip":null,"block_reserved_bos":1,"block_reserved_eos":1,)"
            R"("max_seq_lens":-1,"workload_chunk_size":32,"dtype":"bfloat16","module_path":null,"module_name":null,)"
            R"("block_size":16,"topk_ratio":0.0,"compilation_cache_dir":null,"schedule_policy":null,)"
            R"("attention_backend":"flashinfer","impl_backend":"triton","use_tensor_core":false})");
}

TEST(VortexConfigTest, PrefixedKeysAndWholeFloatsAreTaken) {
  const auto c = parse_vortex_config(R"({"vortex_topk_val": 29.0, "layers_skip": [0, 1], "module_name": "x"})", "test");
  ASSERT_TRUE(c.ok());
  EXPECT_EQ((*c)->topk_val, 29);
  EXPECT_EQ((*c)->layers_skip, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ((*c)->module_name, "x");
}

TEST(VortexConfigTest, EnableFlagSwitchesOff) {
  EXPECT_FALSE(parse_vortex_config(R"({"enable_vortex_sparsity": false, "vortex_topk_val": 3})", "t").value());
  EXPECT_TRUE(parse_vortex_config(R"({"enable_vortex_sparsity": true, "vortex_topk_val": 3})", "t").value());
}

TEST(VortexConfigTest, ErrorsNameKeyValueAndNearest) {
  EXPECT_EQ(error_of(R"({"topk_vall": 3})"), "test: topk_vall: unknown key (did you mean topk_val?)");
  EXPECT_EQ(error_of(R"({"topk_val": "3"})"), "test: topk_val: \"3\" is not a whole number (write it without quotes)");
  EXPECT_EQ(error_of(R"({"topk_val": 2.5})"), "test: topk_val: 2.5 is not a whole number");
  EXPECT_EQ(error_of(R"({"topk_val": true})"), "test: topk_val: true is not a whole number");
  EXPECT_EQ(error_of(R"({"topk_val": 0})"), "test: topk_val: 0 is out of range (give 1 to 1048576)");
  EXPECT_EQ(error_of(R"({"topk_val": 18446744073709551615})"),
            "test: topk_val: 18446744073709551615 is not a whole number");
  EXPECT_EQ(error_of(R"({"block_size": 24})"), "test: block_size: 24 is not a power of two (give 16 or 32)");
  EXPECT_EQ(error_of(R"({"topk_ratio": 1.5})"), "test: topk_ratio: 1.5 is out of range (give 0 to 1)");
  EXPECT_EQ(error_of(R"({"dtype": "int3"})"),
            "test: dtype: 'int3' is not known (give one of bfloat16, "
            "float16, float32, fp8_e5m2, fp8_e4m3)");
  EXPECT_EQ(error_of(R"({"block_reserved_eos": 0})"), "test: block_reserved_eos: 0 is out of range (give 1 to 65536)");
  EXPECT_EQ(error_of("[1]"), "test: not a JSON object (write {\"topk_val\": 30})");
  EXPECT_EQ(error_of("{"), "test: not valid JSON at byte 2 (quote keys and strings with \")");
  EXPECT_EQ(error_of(R"({"layers_skip":)" + std::string(100, '[')),
            "test: JSON nests deeper than 64 levels (quote keys and strings with \")");
  EXPECT_EQ(error_of("flow.json"), "test: not valid JSON at byte 2 (write @FILE for a file, --flow NAME for a flow)");
  EXPECT_EQ(error_of(R"({"layers_skip": 0})"),
            "test: layers_skip: 0 is not a list of layer numbers such as [0, 1], or null");
  EXPECT_EQ(error_of(R"({"page_size": 16})"),
            "test: page_size: an engine option, no part of a VortexConfig (use --page-size)");
  EXPECT_EQ(error_of(R"({"topk_val": 3, "vortex_topk_val": 4})"),
            "test: vortex_topk_val: given with and without the prefix vortex_ (keep one)");
}

TEST(VortexConfigTest, NamesWhatHasNoEffect) {
  EXPECT_EQ(fields_without_effect({}), "");
  const auto c = parse_vortex_config(
      R"({"topk_val": 3, "max_seq_lens": 20480, "workload_chunk_size": 64, "attention_backend": "trtllm"})", "t");
  EXPECT_EQ(fields_without_effect(**c), "workload_chunk_size, attention_backend");
}

TEST(VortexConfigTest, LayersAreCheckedAgainstTheModel) {
  VortexConfig c;
  c.layers_skip = {0, 6};
  EXPECT_TRUE(validate(c, 0).ok());
  EXPECT_FALSE(validate(c, 6).ok());
  EXPECT_TRUE(validate(c, 7).ok());
}

}  // namespace
}  // namespace vortex

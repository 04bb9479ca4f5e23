// Against transformers' own numbers (tests/data/loader/make_rope.py).
#include "loader/rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/json.h"

namespace vortex {
namespace {

using nlohmann::json;

json goldens() {
  auto file = read_json_file(VORTEX_SOURCE_DIR "/tests/data/loader/rope.json", 1 << 20);
  EXPECT_TRUE(file.ok()) << file.error().to_string();
  return file.ok() ? (*file)["cases"] : json::object();
}

TEST(Rope, EqualsTransformersInEveryVariant) {
  const json cases = goldens();
  ASSERT_GE(cases.size(), 14u);
  for (const auto& [name, golden] : cases.items()) {
    SCOPED_TRACE(name);
    const auto config = parse_hf_config(golden["config"].dump(), name);
    ASSERT_TRUE(config.ok()) << config.error().to_string();
    const std::vector<float> got = rope_inverse_frequencies(config->rope, config->head_dim);
    const auto expected = golden["inverse_frequencies"].get<std::vector<float>>();
    ASSERT_EQ(got.size(), expected.size());
    // pow() may differ in the last bit between libraries; everything after it is the same float32 arithmetic.
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 3e-7f * expected[i]) << i;
    EXPECT_FLOAT_EQ(rope_attention_scale(config->rope), golden["scale"].get<float>());
  }
}

TEST(Rope, DivisorsApplyLast) {
  RopeConfig config;
  config.rotary_dim = 8;
  config.frequency_divisors = {1.0f, 2.0f, 4.0f, 8.0f};
  const std::vector<float> plain = rope_inverse_frequencies(RopeConfig{.rotary_dim = 8}, 8);
  const std::vector<float> divided = rope_inverse_frequencies(config, 8);
  EXPECT_EQ(plain[0], 1.0f);
  EXPECT_NEAR(plain[1], 0.1f, 1e-8f) << "10000^(-2/8)";
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(divided[i], plain[i] / config.frequency_divisors[i]);
}

TEST(Rope, PartialRotationCountsItsOwnDimensions) {
  const std::vector<float> partial = rope_inverse_frequencies(RopeConfig{.rotary_dim = 16}, 64);
  EXPECT_EQ(partial, rope_inverse_frequencies(RopeConfig{}, 16));
}

}  // namespace
}  // namespace vortex

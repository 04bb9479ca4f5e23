#include "loader/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vortex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Views of different memory, so that a test can tell them apart.
TensorView view_at(int offset, Shape shape) {
  static std::byte memory[64];
  return {memory + offset, DType::kF32, shape};
}

WeightMap map_of(std::initializer_list<std::pair<const char*, TensorView>> tensors, bool tied = false) {
  WeightMap map;
  map.describe_as("model", tied);
  for (const auto& [name, view] : tensors) EXPECT_TRUE(map.add(name, view).ok());
  return map;
}

TEST(WeightMap, GivesEachTensorOnce) {
  WeightMap map = map_of({{"a", view_at(1, {2, 3})}, {"b", view_at(2, {4})}});
  EXPECT_EQ(map.take("a", {2, 3})->data, view_at(1, {}).data);
  EXPECT_THAT(map.finish().error().to_string(), HasSubstr("model: 1 tensors are no part of this architecture: 'b'"));
  EXPECT_TRUE(map.take_optional("b", {4})->has_value());
  EXPECT_FALSE(map.take_optional("c", {4})->has_value());
  EXPECT_TRUE(map.finish().ok());
}

TEST(WeightMap, SaysWhatIsWrong) {
  WeightMap map = map_of({{"a", view_at(0, {2, 3})}});
  EXPECT_THAT(map.take("x", {1}).error().to_string(), HasSubstr("model: tensor 'x' is missing"));
  EXPECT_THAT(map.take("a", {3, 2}).error().to_string(),
              HasSubstr("tensor 'a' has shape [2, 3], the config asks for [3, 2]"));
  EXPECT_THAT(map.take_optional("a", {6}).error().to_string(), HasSubstr("has shape [2, 3]"));
  EXPECT_THAT(map.add("a", view_at(0, {1})).error().to_string(), HasSubstr("holds tensor 'a' twice"));
}

TEST(WeightMapDeathTest, TakingTwiceIsOurBug) {
  WeightMap map = map_of({{"a", view_at(0, {1})}});
  ASSERT_TRUE(map.take("a", {1}).ok());
  EXPECT_DEATH((void)map.take("a", {1}), "a taken twice");
}

TEST(WeightMap, ATiedHeadIsTheEmbedding) {
  const TensorView embedding = view_at(3, {8, 4}), stored = view_at(9, {8, 4});
  WeightMap map = map_of({{"model.embed_tokens.weight", embedding}, {"lm_head.weight", stored}}, true);
  EXPECT_EQ(map.take("lm_head.weight", {8, 4})->data, embedding.data);
  EXPECT_FALSE(map.finish().ok()) << "the embedding itself was not taken";
  EXPECT_EQ(map.take("model.embed_tokens.weight", {8, 4})->data, embedding.data);
  EXPECT_TRUE(map.finish().ok()) << "a stored copy of the head is ignored";
}

TEST(WeightMap, ReleasesWhatWasMadeButNotAnEmbeddingThatIsTheHead) {
  for (const bool tied : {false, true}) {
    std::vector<std::string> released;
    WeightMap map([](std::string_view, const Shape& shape) -> Result<TensorView> { return view_at(0, shape); },
                  [&](std::string_view name) { released.emplace_back(name); });
    map.describe_as("model", tied);
    for (const char* name : {"model.embed_tokens.weight", "lm_head.weight", "a"}) {
      ASSERT_TRUE(map.take(name, {2, 2}).ok());
      map.release(name);
    }
    if (tied)
      EXPECT_THAT(released, ElementsAre("a"));
    else
      EXPECT_THAT(released, ElementsAre("model.embed_tokens.weight", "lm_head.weight", "a"));
  }
}

TEST(WeightMap, KnowsHarmlessLeftovers) {
  WeightMap map = map_of({{"model.layers.0.self_attn.rotary_emb.inv_freq", view_at(0, {4})}});
  EXPECT_TRUE(map.finish().ok());
}

TEST(WeightMap, ListsAFewOfManyLeftovers) {
  WeightMap map = map_of({{"a", {}}, {"b", {}}, {"c", {}}, {"d", {}}, {"e", {}}});
  EXPECT_THAT(map.finish().error().message, AllOf(HasSubstr("5 tensors"), HasSubstr("'d' ...")));
}

}  // namespace
}  // namespace vortex

#include "base/nearest_name.h"

#include <gtest/gtest.h>

namespace vortex {
namespace {

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("page", ""), 4u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("modle", "model"), 1u);
  EXPECT_EQ(edit_distance("abc", "cab"), 2u);
}

TEST(NearestName, FindsSlipsOnly) {
  constexpr std::string_view kNames[] = {"dtype", "device", "seed", "max-num-seqs", "port"};
  EXPECT_EQ(nearest_name("devcie", kNames), "device");
  EXPECT_EQ(nearest_name("max_num_seqs", kNames), "max-num-seqs");
  EXPECT_EQ(nearest_name("sead", kNames), "seed");
  EXPECT_EQ(nearest_name("temperature", kNames), "");
  EXPECT_EQ(nearest_name("x", kNames), "");
  EXPECT_EQ(nearest_name("quest", std::vector<std::string>{"dense", "gqa_quest_sparse_attention"}),
            "gqa_quest_sparse_attention");
  EXPECT_EQ(nearest_name("ens", std::vector<std::string>{"dense_sparse_attention"}), "") << "too short to tell";
  EXPECT_EQ(nearest_name(std::string(100'000, 'p'), kNames), "");
  EXPECT_EQ(nearest_name("seed", std::vector<std::string>{}), "");
  EXPECT_EQ(nearest_name("quest_attention", std::vector<std::string>{"dense", "gqa_quest_attention"}),
            "gqa_quest_attention");
}

TEST(NearestName, HintNamesIt) {
  constexpr std::string_view kNames[] = {"dtype"};
  EXPECT_EQ(nearest_name_hint("dtpye", kNames), "did you mean 'dtype'?");
  EXPECT_EQ(nearest_name_hint("weights", kNames), "");
}

}  // namespace
}  // namespace vortex

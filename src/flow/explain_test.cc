// What `vortex flow explain` says, and the numbers behind it.
#include "flow/explain.h"

#include <gtest/gtest.h>

#include "flow/frontend/trace.h"
#include "flows/registry.h"
#include "vortex/flow.h"

namespace vortex::flow {
namespace {

Explanation explain_flow(const std::string& name, const GraphShape& shape, std::vector<std::string> off = {}) {
  auto flow = flows::make_flow(name).value();
  auto explained = explain(trace(*flow, name, shape).value(), DType::kBF16, DType::kBF16, {std::move(off)});
  EXPECT_TRUE(explained.ok()) << explained.error().to_string();
  return std::move(*explained);
}

/// Paths of the machine that built the test are cut from the notes.
std::string without_folders(std::string text) {
  for (size_t at; (at = text.find("/flows/")) != std::string::npos;) {
    const size_t begin = text.rfind(' ', at) + 1;
    text.erase(begin, at + 7 - begin);
  }
  return text;
}

TEST(Explain, TheCentredFlow) {
  const Explanation e = explain_flow("centered_block_sparse_attention", {4, 128, 16});
  const std::string text = without_folders(to_text(e, {}, 4096));
  for (const char* part : {
           "As written\n  forward_cache\n    %0 = Mean(@k, dim=1) : [1, 1, 128]\n",
           "    %4 = Add(%2, %3, beta=-1) : ragged [S, 1, 1]\n    topK(%4)\n",
           "Passes\n  rewrite\n    sum_of_products at centered_block_sparse_attention.cc:12:",
           "    shift at centered_block_sparse_attention.cc:13:",
           "  common_subexpressions: nothing to do\n  dead_code\n    Multiply at centered",
           "  fuse\n    forward_cache: 2 operators in 1 groups\n    forward_indexer: 3 operators in 2 groups\n",
           "Rounding (float32 everywhere else)\n  field centroids to bfloat16\n  forward_indexer: %1 to bfloat16, for "
           "group "
           "1\n",
           "scoring reads 256 bytes a page, 3.1 % of the 8192 bytes of its K and V\n",
           "group 0: 256 bytes of fields, 1 numbers in buffers, 256 operations a page; 512 a row\n",
           "predicted for 4096 pages: ",
       })
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST(Explain, SaysWhereTheQueryIsRounded) {
  const Explanation e = explain_flow("sketch2_sparse_attention", {4, 128, 16});
  const std::string text = to_text(e, {}, 4096);
  EXPECT_NE(text.find("field sketch to int2 codes\n  forward_indexer: %0 to 8 bits a row, for %1\n"), std::string::npos)
      << text;
}

TEST(Explain, PassesOff) {
  const Explanation e = explain_flow("centered_block_sparse_attention", {4, 128, 16}, {"rewrite"});
  EXPECT_NE(to_text(e, {}, 100).find("Passes\n  rewrite: off\n"), std::string::npos);
  EXPECT_EQ(e.cost.groups.size(), 4u);
}

/// By hand: 4 heads of 128 channels against two bounds: 2 products, a maximum and a sum a channel, then 4 sums'
/// maximum.
TEST(Cost, OfQuest) {
  const FlowCost cost = explain_flow("gqa_quest_sparse_attention", {4, 128, 16}).cost;
  EXPECT_EQ(cost.metadata_bytes, 512);
  EXPECT_EQ(cost.kv_bytes, 2 * 16 * 128 * 2);
  ASSERT_EQ(cost.groups.size(), 2u);
  EXPECT_EQ(cost.groups[0].field_bytes, 512);
  EXPECT_EQ(cost.groups[0].page_flops, 4 * 4 * 128 + 4);
  EXPECT_EQ(cost.groups[0].row_flops, 0);
  EXPECT_EQ(cost.groups[1].field_bytes, 0);
  EXPECT_EQ(cost.update_flops, 2 * 16 * 128);
}

TEST(Cost, TheLongerOfMemoryAndArithmetic) {
  FlowCost cost;
  cost.groups = {{1000, 0, 10, 0}, {0, 0, 2000, 500'000}};
  const MachineRate machine{10, 20, 1};
  // 100 pages: 100,000 bytes at 10 GB/s are 10 us; 700,000 operations at 20 GFLOP/s are 35 us; two starts.
  EXPECT_DOUBLE_EQ(predicted_us(cost, machine, 100), 10 + 35 + 2);
}

}  // namespace
}  // namespace vortex::flow

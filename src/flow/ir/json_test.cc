#include "flow/ir/json.h"

#include <gtest/gtest.h>

#include "flow/ir/print.h"

namespace vortex::flow {
namespace {

const std::string kBlockSparse = R"({"format": "vortex-flow/1", "name": "block_sparse_attention",
  "shape": {"group": 4, "head_dim": 128, "page_tokens": 16, "attention": "gqa"},
  "fields": [{"name": "centroids", "rows": 1, "cols": 128}],
  "cache": [{"op": "Mean", "inputs": ["@k"], "dim": 1, "at": "flow.cc:9:30"},
            {"op": "Write", "inputs": ["%0"], "field": "centroids"}],
  "indexer": [{"op": "Mean", "inputs": ["q"], "dim": 1}, {"op": "GeMM", "inputs": ["%0", "@centroids"]},
              {"op": "topK", "inputs": ["%1"]}]})";

std::string replaced(const std::string& from, const std::string& to) {
  std::string text = kBlockSparse;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Json, ReadsTheExampleOfTheHeader) {
  auto graph = read_json(kBlockSparse, "flow.json");
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  EXPECT_EQ(print_graph(*graph), R"(flow block_sparse_attention group=4 head_dim=128 page_tokens=16
field centroids [1, 128] flow
cache
  group 0
    %0 = Mean(@k, dim=1) : [1, 1, 128]
  group 1
    Write(%0, @centroids)
indexer
  group 0
    %0 = Mean(q, dim=1) : batched [1, 1, 128]
  group 1
    %1 = GeMM(%0, @centroids) : ragged [S, 1, 1]
  group 2
    topK(%1)
)");
  EXPECT_EQ(graph->cache.nodes[0].where, "flow.cc:9:30");
  EXPECT_EQ(graph->indexer.nodes[1].where, "flow.json: indexer[1]");
}

struct Hostile {
  const char* from;
  const char* to;
  const char* message;
};

TEST(Json, RefusesWhatIsNotAGraph) {
  const Hostile cases[] = {
      {"vortex-flow/1", "vortex-flow/2", "is not 'vortex-flow/1'"},
      {"\"group\": 4", "\"group\": 0", "'group' must be an integer from 1"},
      {"\"group\": 4", "\"group\": 99999999999999999999", "'group' must be an integer"},
      {"\"group\": 4", "\"group\": 4.5", "'group' must be an integer"},
      {"\"group\": 4", "\"group\": 4, \"groups\": 4", "unknown key 'groups'"},
      {"\"gqa\"", "\"mqa\"", "must be \"gqa\" or \"mla\""},
      {"\"rows\": 1", "\"rows\": -1", "'rows' must be an integer"},
      {"\"rows\": 1", "\"rows\": 65536", "impossible shape"},
      {"\"centroids\", \"rows\"", "\"k\", \"rows\"", "reserved name"},
      {"\"centroids\", \"rows\"", "\"a b\", \"rows\"", "no field name"},
      {"\"Mean\", \"inputs\": [\"q\"]", "\"Median\", \"inputs\": [\"q\"]", "unknown operator 'Median'"},
      {"[\"%0\", \"@centroids\"]", "[\"%1\", \"@centroids\"]", "no such input '%1'"},
      {"[\"%0\", \"@centroids\"]", "[\"%-1\", \"@centroids\"]", "no such input '%-1'"},
      {"[\"%0\", \"@centroids\"]", "[\"%99999999999999999999\", \"@centroids\"]", "no such input"},
      {"[\"%0\", \"@centroids\"]", "[\"%0\", \"@missing\"]", "no such input '@missing'"},
      {"[\"%0\", \"@centroids\"]", "[\"%0\", 7]", "no such input"},
      {"[\"%0\", \"@centroids\"]", "[\"%0\"]", "takes 2 tensors, got 1"},
      {"\"topK\", \"inputs\": [\"%1\"]", "\"topK\", \"inputs\": [\"%0\"]", "the score must be ragged"},
      {"\"dim\": 1, \"at\"", "\"dim\": 1, \"beta\": 2, \"at\"", "unknown key 'beta'"},
      {"\"field\": \"centroids\"", "\"field\": \"k\"", "'k' is not a declared field"},
      {"{\"op\": \"topK\", \"inputs\": [\"%1\"]}", "7", "must be"},
      {"\"indexer\"", "\"indexers\"", "'indexer' must be a list"},
  };
  for (const Hostile& c : cases) {
    auto graph = read_json(replaced(c.from, c.to), "flow.json");
    ASSERT_FALSE(graph.ok()) << c.to;
    EXPECT_NE(graph.error().message.find(c.message), std::string::npos) << c.to << ": " << graph.error().to_string();
  }
}

TEST(Json, RefusesDeepNestingAndGarbage) {
  EXPECT_NE(read_json(std::string(100000, '['), "x").error().message.find("nested deeper"), std::string::npos);
  for (const char* text : {"", "{", "[]", "null", "\"", "{\"format\": 1}", "{}"})
    EXPECT_FALSE(read_json(text, "x").ok());
  for (size_t n = 0; n < kBlockSparse.size(); n += 7) EXPECT_FALSE(read_json(kBlockSparse.substr(0, n), "x").ok());
}

TEST(Json, ShapesAloneKeepTheirScale) {
  EXPECT_EQ(write_shape({.group = 4, .head_dim = 64}),
            R"({"group":4,"head_dim":64,"page_tokens":16,"attention":"gqa","scale":0.125})");
  const GraphShape latent = {.group = 8, .head_dim = 576, .page_tokens = 32, .kv_lora_rank = 512, .scale = 0.1f};
  const auto read = read_shape(write_shape(latent), "shape");
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(*read, latent);
  const auto stranger = read_shape(R"({"group": 4, "heads": 2})", "request");
  ASSERT_FALSE(stranger.ok());
  EXPECT_NE(stranger.error().to_string().find("request: shape: 'head_dim'"), std::string::npos);
}

}  // namespace
}  // namespace vortex::flow

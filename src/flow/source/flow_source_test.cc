#include "flow/source/flow_source.h"

#include <gmock/gmock.h>

#include "flow/ir/json.h"
#include "flow/source/build.h"
#include "flows/registry.h"
#include "toolchain/testing.h"

namespace vortex::flow {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

constexpr GraphShape kShape{.group = 4, .head_dim = 64, .page_tokens = 16};
constexpr GraphShape kLatentShape{.group = 8, .head_dim = 576, .page_tokens = 32, .kv_lora_rank = 512, .scale = 0.1f};

// A flow whose forward_cache and forward_indexer are given, as its file.
std::string flow_text(const std::string& cache, const std::string& indexer) {
  return "#include <vortex/flow.h>\n"
         "struct Mine : vortex::Flow {\n"
         "  Fields create_cache(const PageShape& s) override { return {{\"c\", {1, s.head_dim}}}; }\n"
         "  void forward_cache(CacheScope& c) override { " +
         cache +
         " }\n"
         "  Score forward_indexer(const Tensor& q, IndexerScope& c) override { " +
         indexer +
         " }\n"
         "};\n"
         "VORTEX_FLOW(\"mine\", Mine)\n";
}
const std::string kCache = "c.write(\"c\", mean(c[\"k\"], 1));";
const std::string kIndexer = "return top_k(gemm(mean(q, 1), c[\"c\"]));";

class FlowSourceTest : public toolchain::ToolchainTest {
 protected:
  Result<std::unique_ptr<FlowSource>> load(const std::string& path, std::optional<std::string> name = {}) {
    return load_flow_source({path, std::move(name), cache()});
  }
  Result<Graph> trace(const std::string& path, const GraphShape& shape = kShape) {
    VORTEX_ASSIGN_OR_RETURN(const auto source, load(path));
    return source->trace(shape);
  }
  template <class T>
  static std::string error_of(const Result<T>& result) {
    return result.ok() ? "no error" : result.error().to_string();
  }
  std::string cache() const { return (folder_ / "cache").string(); }
  /// The repository's own flow, as a user's file.
  static std::string builtin_file(const std::string& name) { return VORTEX_SOURCE_DIR "/flows/" + name + ".cc"; }
  /// The graph without the places of its source, which differ between ways of writing a path.
  static std::string without_places(Graph graph) {
    for (Program* program : {&graph.cache, &graph.indexer})
      for (Node& node : program->nodes) node.where.clear();
    return write_json(graph);
  }
};

TEST_F(FlowSourceTest, NameOrFile) {
  EXPECT_EQ(flow_request("block_sparse_attention").module_name, "block_sparse_attention");
  for (const char* file : {"a.cc", "a.so", "a.json", "a.py", "flows/a", "./a"})
    EXPECT_EQ(flow_request(file).module_path, file);
}

TEST_F(FlowSourceTest, BuiltIn) {
  const auto source = load_flow_source({{}, "gqa_quest_sparse_attention", {}});
  ASSERT_TRUE(source.ok());
  EXPECT_EQ((*source)->name(), "gqa_quest_sparse_attention");
  for (const int head_dim : {64, 128}) EXPECT_EQ((*source)->trace({4, head_dim, 16})->shape.head_dim, head_dim);
  EXPECT_EQ(error_of(load_flow_source({{}, "gqa_quest_sparse_atention", {}})),
            "module_name: no flow 'gqa_quest_sparse_atention' (did you mean 'gqa_quest_sparse_attention'?)");
  EXPECT_THAT(error_of(load_flow_source({})), HasSubstr("module_name: no flow is named"));
}

TEST_F(FlowSourceTest, EveryBuiltInFlowIsTheSameFromItsFile) {
  std::string text;
  for (const auto& file : fs::directory_iterator(fs::path(VORTEX_SOURCE_DIR) / "flows"))
    if (file.path().extension() == ".cc" && file.path().stem() != "registry")
      text += fmt::format("#include \"{}\"\n", file.path().string());
  const std::string all = write("all.cc", text);
  for (const flows::FlowInfo& info : flows::list_flows()) {
    const std::string name(info.name);
    const auto source = load(all, name);
    ASSERT_TRUE(source.ok()) << source.error().to_string();
    const GraphShape& shape = info.attention == AttentionKind::kMla ? kLatentShape : kShape;
    const auto from_file = (*source)->trace(shape);
    ASSERT_TRUE(from_file.ok()) << from_file.error().to_string();
    const auto built_in = load_flow_source({{}, name, {}}).value()->trace(shape);
    EXPECT_EQ(without_places(*from_file), without_places(*built_in)) << name;
    EXPECT_THAT(from_file->indexer.nodes[0].where, HasSubstr(VORTEX_SOURCE_DIR "/flows/"));
  }
}

TEST_F(FlowSourceTest, SharedObject) {
  const auto library = build_flow(builtin_file("block_sparse_attention"), cache());
  ASSERT_TRUE(library.ok()) << library.error().to_string();
  const std::string path = folder_ / "flow.so";
  fs::copy_file(*library, path);
  const auto graph = trace(path);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  EXPECT_EQ(graph->name, "block_sparse_attention");
}

TEST_F(FlowSourceTest, Json) {
  const Graph graph = load_flow_source({{}, "lserve_sparse_attention", {}}).value()->trace(kShape).value();
  const std::string path = write("flow.json", write_json(graph));
  EXPECT_EQ(write_json(*trace(path)), write_json(graph));
  EXPECT_EQ(error_of(trace(path, {.group = 4, .head_dim = 128, .page_tokens = 16})),
            path +
                ": recorded for group 4, head_dim 64, page of 16 tokens; needed for group 4, head_dim 128, page of 16 "
                "tokens (record the flow again "
                "for this model, or use its .py or .cc file)");
  EXPECT_EQ(error_of(load(path, "other")), path + ": no flow 'other' in this file (it has lserve_sparse_attention)");
  EXPECT_THAT(error_of(load(write("bad.json", "{\"format\": 3}"))), StartsWith((folder_ / "bad.json").string()));
  EXPECT_THAT(error_of(load(write("big.json", std::string((16 << 20) + 1, ' ')))), HasSubstr("larger than"));
}

TEST_F(FlowSourceTest, LatentGraphsInJson) {
  const Graph graph = load_flow_source({{}, "sketch1_mla", {}}).value()->trace(kLatentShape).value();
  const std::string path = write("latent.json", write_json(graph));
  EXPECT_EQ(write_json(*trace(path, kLatentShape)), write_json(graph));
  GraphShape other = kLatentShape;
  other.scale = 0.2f;
  EXPECT_EQ(error_of(trace(path, other)),
            path +
                ": recorded for group 8, head_dim 576, page of 32 tokens, kv_lora_rank 512, scale 0.1; needed for "
                "group 8, head_dim 576, page of 32 tokens, kv_lora_rank 512, scale 0.2 (record the flow again for "
                "this model, or use its .py or .cc file)");
}

TEST_F(FlowSourceTest, AFlowForTheOtherAttentionIsRefusedByName) {
  const std::string quest =
      error_of(load_flow_source({{}, "gqa_quest_sparse_attention", {}}).value()->trace(kLatentShape));
  EXPECT_THAT(quest, StartsWith("gqa_quest_sparse_attention: this flow is for grouped-query attention (gqa), the model "
                                "has latent attention (mla) (flows that fit: rope_aware_block_sparse_mla, "));
  EXPECT_THAT(quest, HasSubstr("sketch2_mla"));
  EXPECT_THAT(quest, Not(HasSubstr("sketch2_sparse_attention")));
  const std::string latent =
      "sketch1_mla: this flow is for latent attention (mla), the model has grouped-query "
      "attention (gqa) (flows that fit: block_sparse_attention, ";
  const Graph graph = load_flow_source({{}, "sketch1_mla", {}}).value()->trace(kLatentShape).value();
  const std::string source = builtin_file("sketch_mla"), json = write("graph.json", write_json(graph));
  for (const FlowRequest& request :
       {FlowRequest{{}, "sketch1_mla", {}}, FlowRequest{source, "sketch1_mla", cache()}, FlowRequest{json, {}, {}}})
    EXPECT_THAT(error_of(load_flow_source(request).value()->trace(kShape)), StartsWith(latent));
}

TEST_F(FlowSourceTest, SeveralFlowsInAFile) {
  const std::string text = flow_text(kCache, kIndexer);
  const std::string path = write("two.cc", text + "VORTEX_FLOW(\"mine_again\", Mine)\n");
  EXPECT_EQ(error_of(load(path)), path + ": has 2 flows: mine, mine_again (name one in module_name)");
  EXPECT_EQ(load(path, "mine_again").value()->trace(kShape)->name, "mine_again");
  EXPECT_EQ(error_of(load(path, "yours")), path + ": no flow 'yours' in this file (it has mine, mine_again)");
  EXPECT_EQ(error_of(load(write("none.cc", "#include <vortex/flow.h>\nint x;\n"))),
            (folder_ / "none.cc").string() + ": has no flow (its source must end in VORTEX_FLOW(\"name\", Class))");
}

TEST_F(FlowSourceTest, MistakesHaveTheirPlaceInTheFile) {
  const std::string syntax = write("syntax.cc", flow_text(kCache, "return top_q(q);"));
  EXPECT_THAT(error_of(load(syntax)), MatchesRegex(".*/syntax.cc:5:7[0-9]: .*'top_q' was not declared.*"));
  const std::string shapes = write("shapes.cc", flow_text("c.write(\"c\", c[\"k\"]);", kIndexer));
  EXPECT_THAT(error_of(trace(shapes)), MatchesRegex(".*/shapes.cc:4:[0-9]+: Write.*the field is \\[1, 64\\].*"));
}

TEST_F(FlowSourceTest, FlowsThatThrowOrAskForTooMuch) {
  EXPECT_THAT(error_of(trace(write("throws.cc", flow_text("throw std::bad_alloc();", kIndexer)))),
              HasSubstr("the flow threw an exception: std::bad_alloc"));
  EXPECT_THAT(error_of(trace(write("int.cc", flow_text("throw 3;", kIndexer)))), HasSubstr("the flow threw"));
  std::string text = flow_text(kCache, kIndexer);
  const std::string field = "{\"c\", {1, s.head_dim}}";
  text.replace(text.find(field), field.size(), "{\"c\", {2147483647, 2147483647}}");
  EXPECT_THAT(error_of(trace(write("huge.cc", text))), HasSubstr("field 'c' has impossible shape"));
  text = flow_text(kCache, kIndexer);
  text.replace(text.find("  Fields create"), 0, "  Mine() { throw 1; }\n");
  EXPECT_THAT(error_of(trace(write("born.cc", text))), HasSubstr("the constructor of 'mine' threw"));
}

TEST_F(FlowSourceTest, AnotherVersionIsRefused) {
  const std::string header = read(fs::path(VORTEX_SOURCE_DIR) / "include/vortex/flow.h");
  std::string older = header;
  const std::string abi = "\"vortex-flow-abi/";
  older.replace(older.find(abi), abi.size(), "\"vortex-flow-abi/0.");
  fs::create_directories(folder_ / "vortex");
  write("vortex/flow.h", older);
  set_variable("VORTEX_INCLUDE_DIR", folder_.string());
  const std::string path = write("old.cc", flow_text(kCache, kIndexer));
  EXPECT_THAT(error_of(load(path)), HasSubstr("was built for vortex-flow-abi/0.2, this program has vortex-flow-abi/2 "
                                              "(build it again: `vortex flow build"));
  write("vortex/flow.h", header.substr(0, header.find("Tensor gemm(")) + "Tensor gone();\n" +
                             header.substr(header.find("Tensor gemm(")));
  const std::string gone = write("gone.cc", flow_text("c.write(\"c\", vortex::gone());", kIndexer));
  EXPECT_THAT(error_of(load(gone)), HasSubstr("undefined symbol: vortex::gone()"));
  EXPECT_THAT(error_of(load(gone)), HasSubstr("build it again"));
  fs::remove(folder_ / "vortex/flow.h");
  EXPECT_THAT(error_of(load(path)), HasSubstr("VORTEX_INCLUDE_DIR"));
}

TEST_F(FlowSourceTest, FilesThatAreNoFlow) {
  EXPECT_THAT(error_of(load((folder_ / "none.cc").string())), HasSubstr("none.cc: no such file"));
  EXPECT_THAT(error_of(load(folder_.string())), HasSubstr("not a file"));
  EXPECT_THAT(error_of(load(write("a.so", "x"))), HasSubstr("a.so: cannot be loaded"));
  EXPECT_THAT(error_of(load("/lib/x86_64-linux-gnu/libz.so.1")), HasSubstr("suffix"));
  EXPECT_THAT(error_of(load(write("a.txt", "x"))), HasSubstr("'.txt' is no suffix of a flow's file"));
  EXPECT_THAT(error_of(load("")), HasSubstr("module_path: no such file"));
}

TEST_F(FlowSourceTest, CompiledOnce) {
  count_compiler_runs();
  const std::string path = write("mine.cc", flow_text(kCache, kIndexer));
  ASSERT_TRUE(load(path).ok());
  const auto source = load(path);
  for (int group = 1; group <= 16; ++group) EXPECT_TRUE((*source)->trace({group, 64, 16}).ok());
  EXPECT_EQ(compiler_runs(), 1);
}

}  // namespace
}  // namespace vortex::flow

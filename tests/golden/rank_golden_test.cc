// Several ranks compute what one computes: the goldens of every family, and the pages that the flows select.
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "comm/local_group.h"
#include "engine/flow_setup.h"
#include "golden/golden_json.h"
#include "sample/sampler.h"
#include "support/decoder_rig.h"

namespace vortex::testing {
namespace {

using nlohmann::json;

/// Pages by decode, layer and row, as they are counted in a sequence.
class PageRecorder final : public model::SelectionHook {
 public:
  void on_selection(const model::Selection& selection, PageList* list) override {
    const PageView& view = *selection.pages;
    const SequencePlan& plan = selection.plan->sequences[0];
    for (int row = 0; row < list->rows(); ++row) {
      std::vector<int>& pages = seen.emplace_back();
      for (int page = 0; page < plan.pages; ++page)
        if (std::ranges::count(list->row(row), view.page_id(plan.table, page, row)) > 0) pages.push_back(page);
    }
  }
  std::vector<std::vector<int>> seen;
};

/// One rig a rank, each on a thread of its own.
class RankedRig {
 public:
  RankedRig(const std::string& model, int ranks, std::span<const FieldSpec> fields = {})
      : group_(comm::local_group(ranks)) {
    rigs_.resize(static_cast<size_t>(ranks));
    on_all([&](size_t rank) {
      rigs_[rank] = std::make_unique<DecoderRig>(model, RigBackend::kCpu, DType::kF32, 16, 8192, std::nullopt,
                                                 group_[rank].get(), fields);
    });
  }

  std::vector<std::vector<float>> prefill(std::span<const int32_t> ids, int64_t wanted) {
    std::vector<std::vector<std::vector<float>>> rows(rigs_.size());
    on_all([&](size_t rank) { rows[rank] = rigs_[rank]->prefill(ids, wanted); });
    return rows[0];
  }
  std::vector<float> decode(int32_t id) {
    std::vector<std::vector<float>> rows(rigs_.size());
    on_all([&](size_t rank) { rows[rank] = rigs_[rank]->decode(id); });
    return rows[0];
  }
  void restart() {
    for (auto& rig : rigs_) rig->restart();
  }
  DecoderRig& rig(size_t rank) { return *rigs_[rank]; }

 private:
  void on_all(const std::function<void(size_t)>& work) {
    std::vector<std::thread> threads;
    for (size_t rank = 0; rank < rigs_.size(); ++rank) threads.emplace_back(work, rank);
    for (std::thread& thread : threads) thread.join();
  }

  std::vector<std::unique_ptr<comm::Communicator>> group_;
  std::vector<std::unique_ptr<DecoderRig>> rigs_;
};

std::string source_path(const std::string& path) { return std::string(VORTEX_SOURCE_DIR) + "/" + path; }

void expect_greedy(RankedRig& rig, const std::vector<float>& first, const json& golden) {
  std::vector<int32_t> tokens = {sample::argmax(first)};
  while (tokens.size() < golden.size()) tokens.push_back(sample::argmax(rig.decode(tokens.back())));
  EXPECT_EQ(tokens, golden.get<std::vector<int32_t>>());
}

void expect_goldens(RankedRig& rig, const json& goldens, double tolerance) {
  for (const auto& golden : goldens) {
    rig.restart();
    const auto rows = rig.prefill(golden["input_ids"].get<std::vector<int32_t>>(), 4);
    for (size_t i = 0; i < rows.size(); ++i)
      for (size_t k = 0; k < golden["tail_top_ids"][i].size(); ++k) {
        const size_t id = golden["tail_top_ids"][i][k];
        EXPECT_NEAR(rows[i][id], golden["tail_top_logits"][i][k].get<double>(), tolerance) << "position " << i;
      }
    expect_greedy(rig, rows.back(), golden["greedy"]);
  }
}

struct Case {
  std::string model;
  int ranks;
};

class RankGoldenTest : public ::testing::TestWithParam<Case> {};

TEST_P(RankGoldenTest, LogitsAndGreedyTokens) {
  const auto& [model, ranks] = GetParam();
  const bool gguf = model.ends_with(".gguf");
  RankedRig rig(source_path((gguf ? "tests/data/gguf/" : "tests/data/tiny/") + model), ranks);
  const std::string name = gguf ? model.substr(0, model.size() - 5) : model;
  expect_goldens(rig, load_golden("tiny/" + name + "/golden.json")["cases"], 1e-3);
}

/// Four ranks share two kv heads.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* model :
       {"llama", "llama3-rope", "mistral", "qwen2", "qwen3", "qwen3-yarn", "qwen3_moe", "deepseek_v2", "deepseek_v3",
        "deepseek_v3-yarn", "glm4_moe_lite", "glm4_moe", "minimax_m2", "gemma3_text", "gpt_oss"})
    for (const int ranks : {2, 4}) all.push_back({model, ranks});
  all.push_back({"deepseek_v2", 3});  // 4 heads
  for (const char* model : {"llama", "qwen3_moe", "deepseek_v2", "glm4_moe", "minimax_m2", "gemma3_text", "gpt_oss"})
    all.push_back({std::string(model) + ".gguf", 2});
  return all;
}

std::string test_name(const Case& of) {
  std::string name = fmt::format("{}_on_{}", of.model, of.ranks);
  std::ranges::replace_if(
      name, [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, RankGoldenTest, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test_name(test.param); });

class RankRecallTest : public ::testing::TestWithParam<std::string> {};

TEST_P(RankRecallTest, Float32LogitsAndGreedyTokens) {
  RankedRig rig(source_path("models/" + GetParam()), 2);
  expect_goldens(rig, load_golden("golden/" + GetParam() + ".json")["float32"], 2e-3);
}

INSTANTIATE_TEST_SUITE_P(Models, RankRecallTest, ::testing::Values("recall-gqa", "recall-mla"),
                         [](const auto& test) { return test.param == "recall-gqa" ? "gqa" : "mla"; });

struct FlowCase {
  std::string model, flow;
  int ranks;
  double different = 0;  // share of lists that may differ
};

/// The pages of each decode of every second golden's answer.
class RankSelectionTest : public ::testing::TestWithParam<FlowCase> {
 protected:
  static constexpr int kPages = 12;

  std::unique_ptr<flow::CompiledFlow> flow(WorkerPool* pool) {
    VortexConfig config;
    config.dtype = "float32";  // scores that bfloat16 makes equal fall either way with the last bit of a sum
    set_flow(GetParam().flow, &config);
    return compile_flow(config, config_, {DType::kF32, "", pool}).value();
  }

  /// By rank. A flow is one caller's, so is a pool: each rank has its own.
  std::vector<PageRecorder> decode_all(RankedRig& rig, int ranks) {
    std::vector<std::unique_ptr<WorkerPool>> pools;
    std::vector<std::unique_ptr<flow::CompiledFlow>> flows;
    std::vector<PageRecorder> recorders(static_cast<size_t>(ranks));
    for (size_t r = 0; r < recorders.size(); ++r) {
      pools.push_back(std::make_unique<WorkerPool>(1));
      rig.rig(r).select_by(flows.emplace_back(flow(pools.back().get())).get(), kPages, &recorders[r]);
    }
    const auto goldens = load_golden("golden/" + GetParam().model + ".json")["float32"];
    for (size_t prompt = 0; prompt < goldens.size(); prompt += 2) {
      const auto& golden = goldens[prompt];
      rig.restart();
      rig.prefill(golden["input_ids"].get<std::vector<int32_t>>(), 0);
      for (const int32_t token : golden["greedy"].get<std::vector<int32_t>>()) rig.decode(token);
    }
    return recorders;
  }

  std::string model_ = source_path("models/" + GetParam().model);
  ModelConfig config_ = ModelFiles::open(model_).value()->config();
};

TEST_P(RankSelectionTest, TheSamePagesAsOnOneRank) {
  const int ranks = GetParam().ranks;
  WorkerPool pool(1);
  const auto compiled = flow(&pool);
  const auto fields = compiled->fields();
  RankedRig one(model_, 1, fields), several(model_, ranks, fields);
  const auto expected = decode_all(one, 1)[0].seen;
  const auto seen = decode_all(several, ranks);
  ASSERT_FALSE(expected.empty());
  const size_t rows = static_cast<size_t>(config_.kv_heads), steps = expected.size() / rows;
  int64_t compared = 0, different = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const Range held = share_of(config_, 1, rank, ranks).value().kv_heads;
    auto own = seen[static_cast<size_t>(rank)].seen.begin();
    for (size_t step = 0; step < steps; ++step)
      for (int64_t row = held.begin; row < held.end; ++row, ++compared)
        different += *own++ != expected[step * rows + static_cast<size_t>(row)] ? 1 : 0;
  }
  EXPECT_LE(static_cast<double>(different), GetParam().different * static_cast<double>(compared))
      << different << " of " << compared;
}

/// A sum over ranks differs in its last bits. A key at the edge between two codes of two bits may so get the other one,
/// which the scores of its page see.
INSTANTIATE_TEST_SUITE_P(Codes, RankSelectionTest,
                         ::testing::Values(FlowCase{"recall-gqa", "sketch2_sparse_attention", 2, 0.01}),
                         [](const auto& test) { return test.param.flow; });

INSTANTIATE_TEST_SUITE_P(Flows, RankSelectionTest,
                         ::testing::Values(FlowCase{"recall-gqa", "block_sparse_attention", 2},
                                           FlowCase{"recall-gqa", "gqa_quest_sparse_attention", 2},
                                           FlowCase{"recall-gqa", "block_sparse_attention", 4},
                                           FlowCase{"recall-mla", "quest_mla", 2},
                                           FlowCase{"recall-mla", "lserve_centroid_mla", 2}),
                         [](const auto& test) { return fmt::format("{}_on_{}", test.param.flow, test.param.ranks); });

}  // namespace
}  // namespace vortex::testing

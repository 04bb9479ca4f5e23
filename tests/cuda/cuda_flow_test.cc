// Flows on the GPU against the interpreter, on the same pages: fields, chosen pages, what is saved.
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <set>

#include "agreement.h"
#include "flow/flow.h"
#include "flow/ir/print.h"
#include "flow_world.h"
#include "flows/registry.h"
#include "random_graph.h"

namespace vortex::flow {
namespace {

class CudaFlows : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_gpu()) GTEST_SKIP() << "no GPU";
  }
};

/// Reserved pages in place, no page twice.
void expect_whole_list(const World& world, const PageList& list, int row) {
  const auto ids = list.row(row);
  const SequencePlan& s = world.sequence(row);
  EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), ids.size()) << "row " << row;
  for (int e = 1; e <= world.shape.eos; ++e)
    EXPECT_EQ(ids[ids.size() - static_cast<size_t>(e)], world.page(row, s.pages - e)) << "row " << row;
}

/// What one case compares with: a world for the interpreter and its twin on the device.
struct Twin {
  CompiledFlow* reference;
  CudaFlow* flow;
  World* world;
  DeviceWorld* device;
  void* const* states;
  int compared = 0;  // rows

  /// Both select; the pages agree.
  void compare_step() {
    const World& a = *world;
    PageList list;
    list_reserved_pages(a.step, a.view, &list);
    const cuda::ListView on_device = device->upload(list);
    std::vector<std::vector<float>> scores;
    for (int row = 0; row < a.step.rows(); ++row)
      scores.push_back(a.sequence(row).sparse() ? reference->scores(a.view, a.step, row, a.queries.data())
                                                : std::vector<float>());
    std::vector<int32_t> none(a.shape.tokens.size(), 0);
    const auto nan = cuda::to_device(std::span<const int32_t>(none));
    flow->decode(device->view, device->step, device->queries(), states, on_device, nan.data(), nullptr);
    static_cast<void>(reference->select(a.view, a.step, a.queries.data(), &list));
    const PageList got = device->download();
    std::set<int> failed;
    for (int row : reference->failed_rows()) failed.insert(row / a.shape.kv_heads);
    const std::vector<int32_t> flags = DeviceWorld::to_host(nan);
    for (int row = 0; row < a.step.rows(); ++row) compare_row(row, list, got, scores[static_cast<size_t>(row)]);
    for (size_t s = 0; s < flags.size() && compared > 0; ++s)
      EXPECT_EQ(flags[s] != 0, failed.count(static_cast<int>(s)) > 0) << "sequence " << s;
  }

 private:
  void compare_row(int row, const PageList& list, const PageList& got, const std::vector<float>& scores) {
    const World& a = *world;
    if (!a.sequence(row).sparse()) {
      EXPECT_EQ(std::vector(list.row(row).begin(), list.row(row).end()),
                std::vector(got.row(row).begin(), got.row(row).end()));
      return;
    }
    expect_whole_list(a, got, row);
    const std::vector<float> middle(scores.begin() + a.shape.bos, scores.end());
    if (!is_finite(middle) || norm_of(middle) > 1e20) return;
    ++compared;
    const DType dtype = reference->plan().dtype;
    const double tolerance = norm_of(middle) * (dtype == DType::kF32 ? 1e-4 : 2 * tolerance_of(dtype));
    const std::vector<int> x = a.chosen(list, row), y = a.chosen(got, row);
    const Op output = reference->plan().output().op;
    if (output == Op::kTopK) expect_same_pages(x, y, scores, tolerance);
    // Where scores differ by a rounding, their bins and sums may too: exact cases are of the choice's own test.
    const double slack = output == Op::kTopP || output == Op::kUnion ? 2 : 0;
    EXPECT_NEAR(static_cast<double>(x.size()), static_cast<double>(y.size()), slack) << "row " << row;
  }
};

void compare(CompiledFlow& reference, const WorldShape& shape_in, uint32_t seed) {
  WorldShape shape = shape_in;
  const Plan& plan = reference.plan();
  if (plan.middle_pages()) shape.budget = shape.bos + shape.eos + *plan.middle_pages();
  World a(shape, reference.fields(), seed), copy(shape, reference.fields(), seed);
  round_queries(&a);
  round_queries(&copy);
  DeviceWorld b(copy);
  auto flow = CudaFlow::compile(plan, limits_of(shape));
  ASSERT_TRUE(flow.ok()) << flow.error().to_string();
  reference.update(a.view, a.full_pages());
  (*flow)->update(b.view, b.step, b.all_tokens(), nullptr);
  VORTEX_CUDA_CHECK(cudaDeviceSynchronize());
  b.fetch_fields();
  ASSERT_NO_FATAL_FAILURE(expect_fields_agree(a, copy));
  for (size_t f = shape.base_fields(); f < a.memory.size(); ++f) copy.memory[f] = a.memory[f];
  b.send_fields();
  Twin twin{&reference, flow->get(), &a, &b, b.make_states((*flow)->state_bytes())};
  twin.compare_step();
  for (int step = 0; step < 2 && plan.saves() && !testing::Test::HasFailure(); ++step) twin.compare_step();
}

WorldShape random_world(std::mt19937* random) {
  const auto pick = [&](std::initializer_list<int> choices) {
    return choices.begin()[std::uniform_int_distribution<size_t>(0, choices.size() - 1)(*random)];
  };
  WorldShape shape;
  shape.group = pick({1, 2, 3, 5, 8, 16});
  shape.head_dim = pick({32, 64, 80, 96, 128, 256});
  shape.page_tokens = pick({8, 16, 32, 64});
  shape.kv_heads = pick({1, 2, 3});
  shape.pages_per_slab = pick({1, 2, 4});
  shape.bos = pick({0, 1, 2});
  shape.eos = pick({1, 2, 4});
  shape.budget = shape.bos + shape.eos + pick({1, 2, 5, 17});
  shape.kv_dtype = std::array{DType::kF32, DType::kBF16, DType::kCode8}[static_cast<size_t>(pick({0, 1, 2}))];
  if (pick({0, 1, 2, 3, 4}) == 0) {
    shape.group = pick({1, 4, 20});
    shape.kv_heads = 1;
    shape.kv_lora_rank = pick({64, 96, 512});
    shape.head_dim = shape.kv_lora_rank + pick({16, 64});
    shape.page_tokens = std::min(shape.page_tokens, 32);
    shape.scale = 0.1f;
  }
  shape.tokens.clear();
  for (int s = pick({1, 2, 3}); s > 0; --s)
    shape.tokens.push_back(shape.page_tokens * pick({3, 9, 20}) + pick({1, 3, shape.page_tokens}));
  return shape;
}

class Shares : public CudaFlows, public testing::WithParamInterface<uint32_t> {};
constexpr uint32_t kShares = 12;  // of the cases, so that programs can run beside each other

TEST_P(Shares, ReadyMadeFlowsChooseTheInterpretersPages) {
  const std::vector<flows::FlowInfo> all = flows::list_flows();
  for (size_t i = GetParam(); i < 2 * all.size(); i += kShares) {
    const flows::FlowInfo& info = all[i / 2];
    SCOPED_TRACE(info.name);
    const int group = i % 2 == 0 ? 1 : 5;
    const auto made = flows::make_flow(info.name).value();
    WorldShape shape = example_world(info.attention);
    shape.group = info.attention == AttentionKind::kMla ? 16 * group : group;
    shape.tokens = {800, 333, 33};
    auto reference = CompiledFlow::compile(*made, std::string(info.name), shape.graph(),
                                           {DType::kBF16, BackendKind::kInterpreter}, nullptr);
    ASSERT_TRUE(reference.ok()) << reference.error().to_string();
    compare(**reference, shape, 3);
  }
}

/// Products with codes: heads and pages that fill the tensor cores' tiles, and that do not.
TEST_F(CudaFlows, SketchesChooseTheInterpretersPages) {
  struct Case {
    const char* flow;
    int group, page_tokens, head_dim;
  };
  for (const auto& [name, group, page_tokens, head_dim] : {Case{"sketch1_mla", 20, 32, 0},
                                                           {"sketch2_mla", 20, 32, 0},
                                                           {"sketch2_mla", 128, 64, 0},
                                                           {"sketch1_mla", 3, 16, 0},
                                                           {"sketch1_sparse_attention", 9, 64, 96},
                                                           {"sketch2_sparse_attention", 8, 32, 80},
                                                           {"sketch2_mass_sparse_attention", 2, 48, 128}}) {
    SCOPED_TRACE(fmt::format("{}, {} heads, {} tokens", name, group, page_tokens));
    const auto made = flows::make_flow(name).value();
    WorldShape shape = example_world(made->attention());
    shape.group = group;
    shape.page_tokens = page_tokens;
    if (head_dim > 0) shape.head_dim = head_dim;
    shape.tokens = {page_tokens * 45 + 3, page_tokens * 20};
    auto reference =
        CompiledFlow::compile(*made, name, shape.graph(), {DType::kBF16, BackendKind::kInterpreter}, nullptr);
    ASSERT_TRUE(reference.ok()) << reference.error().to_string();
    compare(**reference, shape, 3);
  }
}

TEST_P(Shares, RandomGraphsChooseTheInterpretersPages) {
  constexpr uint32_t kGraphs = 200;
  constexpr std::array kTypes = {DType::kF32,  DType::kBF16, DType::kBF16, DType::kF32,
                                 DType::kBF16, DType::kF16,  DType::kBF16, DType::kF8E4M3};
  for (uint32_t seed = GetParam(); seed < kGraphs; seed += kShares) {
    std::mt19937 random(seed);
    const WorldShape shape = random_world(&random);
    const Graph graph = random_graph(shape.graph(), seed);
    const Parameters parameters = seed % 2 == 0 ? random_parameters(graph, seed) : Parameters{};
    auto reference = CompiledFlow::compile(
        graph, {kTypes[seed % 8], BackendKind::kInterpreter, {}, shape.kv_dtype, parameters}, nullptr);
    ASSERT_TRUE(reference.ok()) << reference.error().to_string();
    compare(**reference, shape, seed);
    if (HasFailure()) FAIL() << "seed " << seed << "\n" << (*reference)->plan().to_string();
  }
}
INSTANTIATE_TEST_SUITE_P(All, Shares, testing::Range(0u, kShares));

}  // namespace
}  // namespace vortex::flow

// The source that flows become compiles, and is the same each time. Needs no GPU.
#include <gtest/gtest.h>

#include "device/cuda/program.h"
#include "flow/backends/cuda/cuda_flow.h"
#include "flow/flow.h"
#include "flow/frontend/trace.h"
#include "flow/ir/print.h"
#include "flows/registry.h"
#include "random_graph.h"

namespace vortex::flow {
namespace {

CudaFlowLimits small_limits() {
  CudaFlowLimits limits;
  limits.sequences = 8;
  limits.max_pages = 1024;
  limits.kv_heads = 2;
  limits.page_tokens = 16;
  return limits;
}

void expect_compiles(const Plan& plan, const std::string& architecture) {
  const std::string source = CudaFlow::source(plan, small_limits());
  EXPECT_EQ(source, CudaFlow::source(plan, small_limits()));
  const auto code = cuda::compile_source(source, architecture);
  EXPECT_TRUE(code.ok()) << code.error().to_string() << "\n" << plan.to_string();
}

Plan plan_of(std::string_view name, int group) {
  const auto flow = flows::make_flow(name).value();
  WorldShape shape = example_world(flow->attention());
  shape.group = group;
  const PassOptions passes;
  auto compiled = CompiledFlow::compile(*flow, std::string(name), shape.graph(),
                                        {DType::kBF16, BackendKind::kInterpreter, passes}, nullptr);
  EXPECT_TRUE(compiled.ok()) << compiled.error().to_string();
  return (*compiled)->plan();
}

TEST(FlowSource, ReadyMadeFlowsCompile) {
  size_t index = 0;
  for (const auto& info : flows::list_flows()) {
    SCOPED_TRACE(info.name);
    expect_compiles(plan_of(info.name, info.attention == AttentionKind::kMla ? 16 : 4),
                    index++ % 4 == 0 ? "sm_80" : "sm_90a");
  }
}

/// What batches of requests spend their time on reads whole vectors.
TEST(FlowSource, HotFlowsRunAsProducts) {
  const auto has = [](std::string_view flow, std::string_view call) {
    const std::string source = CudaFlow::source(plan_of(flow, 2), small_limits());
    return source.find(fmt::format("\n{}<kBF16", call)) != std::string::npos ||
           source.find(fmt::format("\n{}<kCode", call)) != std::string::npos;
  };
  for (const auto* flow :
       {"block_sparse_attention", "gqa_block_sparse_attention", "gqa_quest_sparse_attention", "quest_subpage"})
    EXPECT_TRUE(has(flow, "products")) << flow;
  for (const auto* flow : {"sketch1_sparse_attention", "sketch2_sparse_attention", "sketch2_mass_sparse_attention",
                           "sketch1_mla", "sketch2_mla"})
    EXPECT_TRUE(has(flow, "code_products")) << flow;
}

TEST(FlowSource, RandomGraphsCompile) {
  constexpr DType kTypes[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kF8E4M3};
  for (uint32_t seed = 0; seed < 24; ++seed) {
    SCOPED_TRACE(seed);
    const GraphShape shape = seed % 5 == 0 ? GraphShape{8, 576, 16, 512, 0.1f} : GraphShape{4, 64, 16};
    auto plan = CompiledFlow::compile(random_graph(shape, seed),
                                      {kTypes[seed % 4], BackendKind::kInterpreter, {}, DType::kBF16}, nullptr);
    ASSERT_TRUE(plan.ok()) << plan.error().to_string();
    expect_compiles((*plan)->plan(), seed % 2 == 0 ? "sm_90a" : "sm_80");
  }
}

}  // namespace
}  // namespace vortex::flow

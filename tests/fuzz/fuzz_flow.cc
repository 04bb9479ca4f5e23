// A flow as JSON: read, verify, print, run every pass and plan it.
#include "flow/frontend/trace.h"
#include "flow/ir/json.h"
#include "flow/ir/print.h"
#include "flow/passes/pipeline.h"
#include "flow/plan/cost.h"
#include "flows/registry.h"
#include "fuzz/fuzz_target.h"
#include "vortex/flow.h"

namespace vortex::fuzz {
namespace {

void touch_text(const std::string& text) { touch(std::as_bytes(std::span(text))); }

}  // namespace

std::string run_target(std::span<const std::byte> input) {
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  auto graph = flow::read_json(text, "f.json");
  if (!graph.ok()) return graph.error().message;
  const std::string again = flow::write_json(*graph);
  VORTEX_CHECK(flow::write_json(flow::read_json(again, "again.json").value()) == again, "a graph is not what it says");
  touch_text(flow::print_graph(*graph));
  VORTEX_CHECK(flow::run_passes({}, &*graph).ok(), "the passes refuse a graph");
  const auto plan = flow::make_plan(std::move(*graph), DType::kBF16, DType::kBF16);
  if (!plan.ok()) return plan.error().message;
  flow::cost_of(*plan);
  touch_text(plan->to_string());
  return "planned";
}

std::vector<std::string> seeds() {
  std::vector<std::string> texts;
  for (const auto& info : flows::list_flows()) {
    const auto flow = flows::make_flow(info.name).value();
    const bool latent = info.attention == AttentionKind::kMla;
    const flow::GraphShape shape = latent ? flow::GraphShape{4, 576, 16, 512} : flow::GraphShape{4, 64, 16};
    texts.push_back(flow::write_json(flow::trace(*flow, std::string(info.name), shape).value()));
  }
  return texts;
}

}  // namespace vortex::fuzz

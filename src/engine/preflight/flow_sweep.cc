#include "engine/preflight/flow_sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "base/worker_pool.h"
#include "flow/flow.h"

namespace vortex {
namespace {

/// The shapes of one kind of attention.
struct Grid {
  std::vector<int> groups, head_dims, pages;
  int kv_lora_rank = 0;
};

const Grid& grid_of(bool latent) {
  static const Grid kGqa = {{1, 2, 4, 8, 16}, {32, 64, 128}, {4, 8, 16, 32, 64, 128}};
  static const Grid kMla = {{4, 8, 16, 20, 128}, {576}, {16, 32, 64}, 512};
  return latent ? kMla : kGqa;
}

std::vector<flow::GraphShape> shapes_of(const Grid& grid) {
  std::vector<flow::GraphShape> shapes;
  for (int group : grid.groups)
    for (int head_dim : grid.head_dims)
      for (int page : grid.pages) shapes.push_back({group, head_dim, page, grid.kv_lora_rank});
  return shapes;
}

constexpr size_t kListedShapes = 3;

Status compile_for(const flow::FlowSource& source, const flow::GraphShape& shape, DType dtype, WorkerPool* pool) {
  VORTEX_ASSIGN_OR_RETURN(flow::Graph graph, source.trace(shape));
  flow::FlowOptions options;
  options.dtype = dtype;
  const auto compiled = flow::CompiledFlow::compile(std::move(graph), options, pool);
  if (!compiled.ok()) return compiled.error();
  return {};
}

/// The message without its numbers: what tells two reasons apart.
std::string reason_of(const Error& error) {
  std::string reason = error.where + error.message;
  std::erase_if(reason, [](unsigned char c) { return std::isdigit(c) != 0; });
  return reason;
}

void add_failure(const Error& error, const flow::GraphShape& shape, std::vector<SweepFailure>* failures) {
  const auto same = [&](const SweepFailure& f) { return reason_of(f.error) == reason_of(error); };
  auto found = std::find_if(failures->begin(), failures->end(), same);
  if (found == failures->end()) found = failures->insert(found, SweepFailure{error, {}});
  found->shapes.push_back(shape);
}

/// "page 4, 8 tokens", or nothing when all values of the axis fail.
std::string axis_text(const char* axis, const std::set<int>& values, const std::vector<int>& all) {
  if (values.size() == all.size()) return "";
  return fmt::format("{} {}", axis, fmt::join(values, ", "));
}

}  // namespace

int Sweep::failed() const {
  size_t count = 0;
  for (const SweepFailure& failure : failures) count += failure.shapes.size();
  return static_cast<int>(count);
}

Sweep sweep_flow(const flow::FlowSource& source, DType dtype) {
  const Grid& grid = grid_of(source.attention() == AttentionKind::kMla);
  const std::vector<flow::GraphShape> shapes = shapes_of(grid);
  source.prepare(shapes);
  WorkerPool pool(1);
  Sweep sweep;
  for (const flow::GraphShape& shape : shapes) {
    const Status compiled = compile_for(source, shape, dtype, &pool);
    ++sweep.shapes;
    if (!compiled.ok()) add_failure(compiled.error(), shape, &sweep.failures);
  }
  return sweep;
}

std::string describe_shapes(const std::vector<flow::GraphShape>& shapes) {
  std::set<int> groups, head_dims, pages;
  for (const flow::GraphShape& shape : shapes) {
    groups.insert(shape.group);
    head_dims.insert(shape.head_dim);
    pages.insert(shape.page_tokens);
  }
  if (groups.size() * head_dims.size() * pages.size() == shapes.size()) {
    const Grid& grid = grid_of(shapes.front().latent());
    std::vector<std::string> axes = {axis_text("group", groups, grid.groups),
                                     axis_text("head_dim", head_dims, grid.head_dims),
                                     axis_text("block_size", pages, grid.pages)};
    std::erase(axes, "");
    return axes.empty() ? "every shape" : fmt::format("{}", fmt::join(axes, " with "));
  }
  std::string text;
  for (size_t i = 0; i < std::min(shapes.size(), kListedShapes); ++i)
    text += fmt::format("{}group {} head_dim {} block_size {}", i == 0 ? "" : ", ", shapes[i].group, shapes[i].head_dim,
                        shapes[i].page_tokens);
  if (shapes.size() > kListedShapes) text += fmt::format(" and {} more", shapes.size() - kListedShapes);
  return text;
}

}  // namespace vortex

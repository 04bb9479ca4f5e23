#include "flow/plan/plan.h"

#include <fmt/core.h>

#include <algorithm>

#include "flow/ir/print.h"

namespace vortex::flow {
namespace {

constexpr int64_t kMaxBufferElements = 1 << 16;  // of a page, between groups: 64 pages of a query's width

bool is_plain_float(DType dtype) { return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16; }

DType field_dtype(Storage storage, DType flow_dtype) {
  switch (storage) {
    case Storage::kF32:
      return DType::kF32;
    case Storage::kBF16:
      return DType::kBF16;
    case Storage::kF16:
      return DType::kF16;
    case Storage::kFlow:
      break;
  }
  return flow_dtype;
}

std::vector<FieldSpec> plan_fields(const Graph& graph, DType dtype, DType kv_dtype) {
  std::vector<FieldSpec> fields;
  for (int f = 0; f < graph.field_count(); ++f) {
    const Type type = graph.field_type(f);
    const bool base = f < graph.base_fields();
    const DType stored =
        base ? kv_dtype : field_dtype(graph.fields[static_cast<size_t>(f - graph.base_fields())].storage, dtype);
    fields.push_back({std::string(graph.field_name(f)), type.rows, type.cols, stored});
  }
  return fields;
}

/// Group that reads a value last, by value.
std::vector<int> last_use(const Program& program) {
  const std::vector<int> group = group_of_nodes(program);
  std::vector<int> last(program.values.size(), -1);
  for (size_t n = 0; n < program.nodes.size(); ++n)
    for (ValueId v : program.nodes[n].inputs)
      last[static_cast<size_t>(v)] = std::max(last[static_cast<size_t>(v)], group[n]);
  return last;
}

/// Gives each value that leaves its group a buffer; one is taken over when its last reader ran in an earlier group.
void plan_buffers(ProgramPlan* plan) {
  const Program& program = plan->program;
  const std::vector<int> last = last_use(program);
  std::vector<int> busy_until;  // buffer: group of the last reader of its present value
  plan->buffer.assign(program.values.size(), -1);
  for (size_t g = 0; g < program.groups.size(); ++g) {
    for (NodeId n : program.groups[g]) {
      const ValueId v = program.node(n).output;
      if (v == kNoValue || !plan->leaves[static_cast<size_t>(v)] || program.type(v).format == Format::kPages) continue;
      const bool batched = program.type(v).format == Format::kBatched;
      const int64_t elements = program.type(v).elements();
      size_t slot = 0;
      while (slot < busy_until.size() &&
             (busy_until[slot] >= static_cast<int>(g) || plan->buffers[slot].batched != batched))
        ++slot;
      if (slot == busy_until.size()) {
        busy_until.push_back(-1);
        plan->buffers.push_back({batched, 0});
      }
      plan->buffers[slot].elements = std::max(plan->buffers[slot].elements, elements);
      busy_until[slot] = last[static_cast<size_t>(v)];
      plan->buffer[static_cast<size_t>(v)] = static_cast<int>(slot);
    }
  }
}

Status check_buffers(const Graph& graph, const ProgramPlan& plan) {
  for (size_t v = 0; v < plan.buffer.size(); ++v) {
    if (plan.buffer[v] < 0 || plan.program.values[v].type.elements() <= kMaxBufferElements) continue;
    const NodeId n = plan.program.values[v].producer;
    return Error{ErrorCode::kInvalidArgument, plan.program.node(n).where,
                 fmt::format("{} of flow {} keeps {} numbers a page, at most {}", op_info(plan.program.node(n).op).name,
                             graph.name, plan.program.values[v].type.elements(), kMaxBufferElements),
                 "reduce it before an operator that runs over the page axis"};
  }
  return {};
}

/// Ops of the language that no backend runs yet.
Status check_supported(const Graph& graph) {
  for (const Node& node : graph.indexer.nodes)
    if (node.op == Op::kTopP || node.op == Op::kTopKSet || node.op == Op::kUnion)
      return Error{ErrorCode::kUnsupported, node.where, fmt::format("{} does not run yet", op_info(node.op).name),
                   "end the flow with topK"};
  return {};
}

ProgramPlan plan_program(const Program& program) {
  ProgramPlan plan;
  plan.program = program;
  plan.leaves = values_leaving_group(program);
  plan_buffers(&plan);
  return plan;
}

std::string describe(const Plan& plan, const ProgramPlan& program) {
  std::string text = print_program(plan.graph, program.program);
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    text += fmt::format("  buffer {}: {} numbers a {}, values", b, program.buffers[b].elements,
                        program.buffers[b].batched ? "row" : "page");
    for (size_t v = 0; v < program.buffer.size(); ++v)
      if (program.buffer[v] == static_cast<int>(b))
        text += fmt::format(" {}", print_value(plan.graph, program.program, static_cast<ValueId>(v)));
    text += "\n";
  }
  return text;
}

}  // namespace

const Node& Plan::output() const {
  const auto& nodes = indexer.program.nodes;
  const auto it = std::find_if(nodes.begin(), nodes.end(), [](const Node& n) {
    return op_info(n.op).rule == TypeRule::kOutput || op_info(n.op).rule == TypeRule::kUnion;
  });
  VORTEX_CHECK(it != nodes.end(), "flow {} has no output", graph.name);
  return *it;
}

bool Plan::saves() const {
  const auto& nodes = indexer.program.nodes;
  return std::any_of(nodes.begin(), nodes.end(), [](const Node& n) { return n.op == Op::kSave; });
}

int64_t Plan::bytes_read_per_page() const {
  std::vector<bool> read(fields.size(), false);
  for (const Node& node : indexer.program.nodes)
    for (ValueId v : node.inputs)
      if (indexer.program.type(v).format == Format::kPaged) read[static_cast<size_t>(value_field(kIndexer, v))] = true;
  int64_t bytes = 0;
  for (size_t f = 0; f < fields.size(); ++f)
    if (read[f]) bytes += fields[f].page_bytes();
  return bytes;
}

std::string Plan::to_string() const {
  std::string text =
      fmt::format("flow {} group={} head_dim={} page_tokens={} dtype={}\n", graph.name, graph.shape.group,
                  graph.shape.head_dim, graph.shape.page_tokens, dtype_info(dtype).name);
  for (const FieldSpec& f : fields)
    text += fmt::format("field {} [{}, {}] {}, {} bytes a page\n", f.name, f.rows, f.cols, dtype_info(f.dtype).name,
                        f.page_bytes());
  text += "cache\n" + describe(*this, cache) + "indexer\n" + describe(*this, indexer);
  return text + fmt::format("reads {} bytes a page\n", bytes_read_per_page());
}

Result<Plan> make_plan(Graph graph, DType dtype, DType kv_dtype) {
  for (DType type : {dtype, kv_dtype})
    if (!is_plain_float(type))
      return Error{ErrorCode::kUnsupported, graph.name, fmt::format("flows do not run with {}", dtype_info(type).name),
                   "float32, bfloat16 or float16"};
  VORTEX_RETURN_IF_ERROR(check_supported(graph));
  Plan plan;
  plan.dtype = dtype;
  plan.base_fields = graph.base_fields();
  plan.fields = plan_fields(graph, dtype, kv_dtype);
  plan.cache = plan_program(graph.cache);
  plan.indexer = plan_program(graph.indexer);
  plan.graph = std::move(graph);
  VORTEX_RETURN_IF_ERROR(check_buffers(plan.graph, plan.indexer));
  return plan;
}

}  // namespace vortex::flow

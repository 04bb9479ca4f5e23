#include "flow/plan/plan.h"

#include <fmt/core.h>

#include <algorithm>

#include "flow/ir/print.h"
#include "tensor/codes.h"

namespace vortex::flow {
namespace {

constexpr int64_t kMaxBufferElements = 1 << 16;  // of a page, between groups: 64 pages of a query's width

bool is_plain_float(DType dtype) { return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16; }

bool is_fp8(DType dtype) { return dtype == DType::kF8E4M3 || dtype == DType::kF8E5M2; }

DType field_dtype(Storage storage, DType flow_dtype) {
  switch (storage) {
    case Storage::kF32:
      return DType::kF32;
    case Storage::kBF16:
      return DType::kBF16;
    case Storage::kF16:
      return DType::kF16;
    case Storage::kF8E4M3:
      return DType::kF8E4M3;
    case Storage::kF8E5M2:
      return DType::kF8E5M2;
    case Storage::kInt8:
      return DType::kCode8;
    case Storage::kInt4:
      return DType::kCode4;
    case Storage::kInt2:
      return DType::kCode2;
    case Storage::kInt1:
      return DType::kCode1;
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

/// Group that reads a value last, by value. Scores are read when all groups have run.
std::vector<int> last_use(const Program& program) {
  const std::vector<int> group = group_of_nodes(program);
  std::vector<int> last(program.values.size(), -1);
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const bool at_the_end = op_info(program.nodes[n].op).rule == TypeRule::kPageSet;
    const int reader = at_the_end ? static_cast<int>(program.groups.size()) : group[n];
    for (ValueId v : program.nodes[n].inputs)
      last[static_cast<size_t>(v)] = std::max(last[static_cast<size_t>(v)], reader);
  }
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

std::vector<int> find_saved(const Program& indexer) {
  std::vector<int> saved;
  for (const Node& node : indexer.nodes)
    if (node.op == Op::kSave) saved.push_back(node.attributes.field);
  std::sort(saved.begin(), saved.end());
  return saved;
}

/// The given parameters that the graph names.
Result<Parameters> find_parameters(const Graph& graph, const Parameters& given) {
  Parameters out;
  for (const Node& node : graph.indexer.nodes) {
    if (node.op != Op::kProject) continue;
    const int64_t rows = graph.indexer.type(node.output).elements(),
                  cols = graph.indexer.type(node.inputs[0]).elements();
    for (const auto& parameter : given) {
      if (parameter->name != node.attributes.parameter) continue;
      if (parameter->rows != rows || parameter->cols != cols)
        return Error{ErrorCode::kConfiguration, node.where,
                     fmt::format("parameter '{}' of flow {} is [{}, {}] a layer, the weights are [{}, {}]",
                                 parameter->name, graph.name, rows, cols, parameter->rows, parameter->cols),
                     "give weights that were trained for this model"};
      out.push_back(parameter);
    }
  }
  return out;
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

std::vector<ValueId> Plan::scores() const {
  const Program& program = indexer.program;
  std::vector<ValueId> scores = output().inputs;
  for (ValueId& v : scores)
    if (program.type(v).format == Format::kPages)
      v = program.node(program.values[static_cast<size_t>(v)].producer).inputs[0];
  return scores;
}

std::optional<int> Plan::middle_pages() const {
  const Node& last = output();
  if (last.op == Op::kTopP && last.attributes.at_most > 0) return last.attributes.at_most;
  if (last.op != Op::kUnion) return std::nullopt;
  int pages = 0;
  for (ValueId set : last.inputs)
    pages += indexer.program.node(indexer.program.values[static_cast<size_t>(set)].producer).attributes.k;
  return pages;
}

int Plan::saved_slot(int declared) const {
  const auto it = std::find(saved_fields.begin(), saved_fields.end(), declared);
  return it == saved_fields.end() ? -1 : static_cast<int>(it - saved_fields.begin());
}

const uint16_t* Plan::weights(const Node& project, int layer) const {
  for (const auto& parameter : parameters)
    if (parameter->name == project.attributes.parameter) return parameter->of_layer(layer);
  return nullptr;
}

bool Plan::fixed_count() const { return output().op == Op::kTopK || output().op == Op::kApproxTopK; }

bool Plan::rounds_query(const Program& program, const Node& node) const {
  if (op_info(node.op).rule != TypeRule::kGemm || program.side == kCache) return false;
  if (program.type(node.inputs[0]).format != Format::kBatched) return false;
  if (program.type(node.inputs[1]).format != Format::kPaged) return false;
  const int bits = code_bits(fields[static_cast<size_t>(value_field(kIndexer, node.inputs[1]))].dtype);
  return bits > 0 && bits < 8;
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

Result<Plan> make_plan(Graph graph, DType dtype, DType kv_dtype, const Parameters& parameters) {
  if (!is_plain_float(dtype) && !is_fp8(dtype))
    return Error{ErrorCode::kUnsupported, graph.name, fmt::format("flows do not run in {}", dtype_info(dtype).name),
                 "float32, bfloat16, float16, fp8_e4m3 or fp8_e5m2"};
  if (!is_plain_float(kv_dtype) && kv_dtype != DType::kF8E4M3 && kv_dtype != DType::kCode8)
    return Error{ErrorCode::kUnsupported, graph.name,
                 fmt::format("flows do not read a cache of {}", dtype_info(kv_dtype).name),
                 "float32, bfloat16, float16, fp8_e4m3 or int8 codes"};
  Plan plan;
  plan.dtype = dtype;
  plan.base_fields = graph.base_fields();
  plan.fields = plan_fields(graph, dtype, kv_dtype);
  plan.cache = plan_program(graph.cache);
  plan.indexer = plan_program(graph.indexer);
  plan.saved_fields = find_saved(graph.indexer);
  VORTEX_ASSIGN_OR_RETURN(plan.parameters, find_parameters(graph, parameters));
  plan.graph = std::move(graph);
  VORTEX_RETURN_IF_ERROR(check_buffers(plan.graph, plan.indexer));
  return plan;
}

}  // namespace vortex::flow

#include "flow/backends/cuda/node_writer.h"

#include <fmt/core.h>

#include <bit>

#include "base/check.h"

namespace vortex::flow {

std::string type_name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "kF32";
    case DType::kF16:
      return "kF16";
    case DType::kBF16:
      return "kBF16";
    case DType::kF8E4M3:
      return "kF8E4M3";
    case DType::kF8E5M2:
      return "kF8E5M2";
    case DType::kCode8:
      return "kCode8";
    case DType::kCode4:
      return "kCode4";
    case DType::kCode2:
      return "kCode2";
    case DType::kCode1:
      return "kCode1";
    default:
      VORTEX_CHECK(false, "no field is {}", dtype_info(dtype).name);
  }
}

std::string reduction_name(Op op) { return fmt::format("k{}", op_info(*reduction_of(op)).name); }

std::string number(float x) { return fmt::format("from_bits({:#x}u)", std::bit_cast<uint32_t>(x)); }

std::string elementwise_functions() {
  std::string text;
#define VORTEX_UNARY(op, name, attributes, alpha, beta, expression)                                           \
  text += "struct Op_" #op " : Expression { static float of(float x, float a, float b) { return " #expression \
          "; } };"                                                                                            \
          "\n";
#define VORTEX_BINARY(op, name, attributes, alpha, beta, expression)                                                   \
  text += "struct Op_" #op " : Expression { static float of(float x, float y, float a, float b) { return " #expression \
          "; } };\n";
#include "flow/ir/ops.def"
  return text;
}

namespace {

std::string function_name(Op op) {
  switch (op) {
#define VORTEX_UNARY(op, name, attributes, alpha, beta, expression) \
  case Op::op:                                                      \
    return "Op_" #op;
#define VORTEX_BINARY(op, name, attributes, alpha, beta, expression) \
  case Op::op:                                                       \
    return "Op_" #op;
#include "flow/ir/ops.def"
    default:
      VORTEX_CHECK(false, "{} is not elementwise", op_info(op).name);
  }
}

}  // namespace

NodeWriter::NodeWriter(const Analysis& analysis, const ProgramPlan& program, std::string team, std::string memory)
    : analysis_(analysis),
      plan_(analysis.plan),
      program_(program),
      group_(group_of_nodes(program.program)),
      team_(std::move(team)),
      memory_(std::move(memory)) {}

std::string NodeWriter::name(ValueId v, NodeId reader) const {
  const NodeId producer = program().values[static_cast<size_t>(v)].producer;
  const bool outside = producer >= 0 && group_[static_cast<size_t>(producer)] != group_[static_cast<size_t>(reader)];
  return fmt::format("{}{}", outside ? "r" : "v", v);
}

std::string NodeWriter::call(ValueId v, NodeId reader, const std::string& i, const std::string& j) const {
  const Type& type = program().type(v);
  return fmt::format("{}({}, {})", name(v, reader), type.rows == 1 ? "0" : i, type.cols == 1 ? "0" : j);
}

std::string NodeWriter::lambda(ValueId v, NodeId reader) const {
  return fmt::format("[&](int i, int j) {{ return {}; }}", call(v, reader, "i", "j"));
}

std::string NodeWriter::rounded(ValueId v) const {
  if (!program_.leaves[static_cast<size_t>(v)]) return "";
  return fmt::format("const auto r{0} = [&](int i, int j) {{ return round_to<kFlowType>(v{0}(i, j)); }};\n", v);
}

std::string NodeWriter::define_stored(NodeId n, const std::string& pointer) const {
  const ValueId v = program().node(n).output;
  return fmt::format("float* const m{0} = {1};\nconst auto v{0} = [&](int i, int j) {{ return m{0}[i * {2} + j]; }};\n",
                     v, pointer, program().type(v).cols) +
         rounded(v);
}

std::string NodeWriter::define_inline(NodeId n) const {
  const ValueId v = program().node(n).output;
  return fmt::format("const auto v{} = [&](int i, int j) -> float {{ return {}; }};\n", v, expression(n)) + rounded(v);
}

std::string NodeWriter::define_field(int field) const {
  const FieldSpec& spec = plan_.fields[static_cast<size_t>(field)];
  return fmt::format("const auto v{} = [&](int i, int j) {{ return load_number<{}, {}, {}>(p{}, i, j); }};\n",
                     field_value(program().side, field), type_name(spec.dtype), spec.rows, spec.cols, field);
}

std::string NodeWriter::define_query() const {
  const GraphShape& shape = plan_.graph.shape;
  return fmt::format(
      "const uint16_t* const query = a.query + int64_t{{row.index}} * {};\n"
      "const auto v0 = [&](int i, int j) {{ return bf16_to_f32(query[i * {} + j]); }};\n",
      shape.group * shape.head_dim, shape.head_dim);
}

std::string NodeWriter::kron(NodeId n) const {
  const Node& node = program().node(n);
  const Type& y = program().type(node.inputs[1]);
  const bool on_rows = (node.attributes.dims & 1) != 0, on_cols = (node.attributes.dims & 2) != 0;
  const auto part = [](bool split, char index, char how, int size) {
    return split ? fmt::format("{} {} {}", index, how, size) : std::string(1, index);
  };
  return fmt::format("{} * {}",
                     call(node.inputs[0], n, part(on_rows, 'i', '/', y.rows), part(on_cols, 'j', '/', y.cols)),
                     call(node.inputs[1], n, part(on_rows, 'i', '%', y.rows), part(on_cols, 'j', '%', y.cols)));
}

std::string NodeWriter::expression(NodeId n) const {
  const Node& node = program().node(n);
  const Attributes& a = node.attributes;
  const ValueId x = node.inputs[0];
  const Type& in = program().type(x);
  const Type& out = program().type(node.output);
  switch (op_info(node.op).rule) {
    case TypeRule::kUnary:
    case TypeRule::kBinary: {
      std::string arguments = call(x, n, "i", "j");
      if (node.inputs.size() == 2) arguments += ", " + call(node.inputs[1], n, "i", "j");
      return fmt::format("{}::of({}, {}, {})", function_name(node.op), arguments, number(a.alpha), number(a.beta));
    }
    case TypeRule::kKron:
      return kron(n);
    case TypeRule::kTranspose:
      return fmt::format("{}(j, i)", name(x, n));
    case TypeRule::kReshape:
      return fmt::format("{0}((i * {1} + j) / {2}, (i * {1} + j) % {2})", name(x, n), out.cols, in.cols);
    case TypeRule::kMaskSlice:
      return fmt::format("{0} <= {1} && {1} < {2} ? {3} : {4}", a.start, a.dim == 1 ? "i" : "j", a.end, number(a.alpha),
                         number(a.beta));
    case TypeRule::kLoad:
      return fmt::format("{}(i, j)", name(x, n));
    default:
      VORTEX_CHECK(false, "{} is not elementwise", op_info(node.op).name);
  }
}

std::string NodeWriter::compute(NodeId n, const std::string& pointer) const {
  const Node& node = program().node(n);
  const Attributes& a = node.attributes;
  const Type& out = program().type(node.output);
  const std::string in = lambda(node.inputs[0], n);
  const TypeRule rule = op_info(node.op).rule;
  std::string text;
  if (rule == TypeRule::kGemm) {
    const auto rounded_at = analysis_.rounded_query.find(n);
    const bool rounds = program().side == kIndexer && rounded_at != analysis_.rounded_query.end();
    const int width = program().type(node.inputs[0]).cols;
    const std::string x = rounds ? fmt::format("[&](int i, int j) {{ return q{}[i * {} + j]; }}", n, width) : in;
    text = fmt::format("gemm<{}, {}, {}>({}, {}, {}, {});\n", out.rows, out.cols, width, team_,
                       lambda(node.inputs[1], n), x, pointer);
  } else if (rule == TypeRule::kReduce || rule == TypeRule::kInterleave) {
    const Type& type = program().type(node.inputs[0]);
    const int count = rule == TypeRule::kInterleave ? a.k : a.dim == 1 ? type.rows : type.cols;
    text = fmt::format("reduce_inner<{}, {}, {}, {}, {}>({}, {}, {});\n", reduction_name(node.op), a.dim, count,
                       out.rows, out.cols, team_, in, pointer);
  } else if (node.op == Op::kRotate) {
    text = fmt::format("rotate<{}, {}>({}, {}, {});\n", out.rows, out.cols, team_, in, pointer);
  } else {
    text = fmt::format("store_all<{}, {}>({}, [&](int i, int j) -> float {{ return {}; }}, {});\n", out.rows, out.cols,
                       team_, expression(n), pointer);
  }
  return text + fmt::format("{}.sync();\n", team_);
}

std::string NodeWriter::page_node(NodeId n, Offsets* workspace) const {
  if (!analysis_.stored(program_, n)) return define_inline(n);
  const ValueId v = program().node(n).output;
  const int64_t at = workspace->take(program().type(v).elements());
  return define_stored(n, fmt::format("{} + {}", memory_, at)) + compute(n, fmt::format("m{}", v));
}

std::string NodeWriter::store(NodeId n, const std::string& page, Offsets* workspace) const {
  const Node& node = program().node(n);
  const FieldSpec& spec = plan_.declared_fields()[static_cast<size_t>(node.attributes.field)];
  const std::string in = node.inputs.empty()
                             ? fmt::format("[&](int, int) {{ return {}; }}", number(node.attributes.alpha))
                             : lambda(node.inputs[0], n);
  return fmt::format("store_field<{}, {}, {}>({}, {}, {}, {} + {});\n{}.sync();\n", type_name(spec.dtype), spec.rows,
                     spec.cols, team_, in, page, memory_, workspace->take(spec.rows), team_);
}

}  // namespace vortex::flow

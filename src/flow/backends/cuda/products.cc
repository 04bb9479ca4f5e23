#include "flow/backends/cuda/products.h"

#include <fmt/core.h>

#include <algorithm>

#include "tensor/codes.h"

namespace vortex::flow {
namespace {

constexpr int kVector = 8;          // 16-bit numbers of a load
constexpr int kMostRegisters = 64;  // of a query's numbers
constexpr int kBatchBytes = 16384;  // of codes that a warp reads before it turns to what comes after the product
constexpr int kMostRest = 128;      // numbers of a value that a thread keeps of its page

/// Threads that share a page: as many as its vectors, a power of two.
int lanes_of(int cols) {
  int lanes = 1;
  while (lanes < 32 && lanes * kVector < cols) lanes *= 2;
  return lanes;
}
int steps_of(int cols) {
  const int lanes = lanes_of(cols);
  return (cols + lanes * kVector - 1) / (lanes * kVector);
}

bool is_wide_field(const Plan& plan, ValueId v) {
  const int field = value_field(kIndexer, v);
  const FieldSpec& spec = plan.fields[static_cast<size_t>(field)];
  return (spec.dtype == DType::kBF16 || spec.dtype == DType::kF16) && spec.cols % kVector == 0 &&
         plan.saved_slot(field - plan.base_fields) < 0;
}

class Finder {
 public:
  Finder(const Analysis& analysis, const std::vector<NodeId>& nodes)
      : analysis_(analysis), plan_(analysis.plan), program_(plan_.indexer.program), nodes_(nodes) {}

  bool all_small() const {
    return std::all_of(nodes_.begin(), nodes_.end(), [&](NodeId n) { return is_small(n); });
  }

  FastPages find() {
    FastPages out;
    for (NodeId n : nodes_)
      if (auto product = match(n)) out.products.push_back(std::move(*product));
    for (NodeId n : nodes_) {
      const bool inside = std::any_of(out.products.begin(), out.products.end(), [&](const Product& p) {
        return p.node == n || std::find(p.tree.begin(), p.tree.end(), n) != p.tree.end();
      });
      if (inside) continue;
      if (!is_small(n)) return {};
      out.rest.push_back(n);
    }
    out.batch = 32;
    for (const Product& p : out.products) {
      if (p.codes()) {
        int pages = 16;
        while (pages > 2 && pages * plan_.fields[static_cast<size_t>(p.fields[0])].page_bytes() > kBatchBytes)
          pages /= 2;
        out.batch = std::min(out.batch, pages);
        continue;
      }
      int passes = 8;
      while (passes > 1 && passes * static_cast<int>(p.fields.size()) * steps_of(p.cols) > 8) passes /= 2;
      out.batch = std::min(out.batch, passes * 32 / lanes_of(p.cols));
    }
    return out;
  }

 private:
  std::optional<Product> match(NodeId n) const {
    const Node& node = program_.node(n);
    if (op_info(node.op).rule == TypeRule::kGemm) return match_gemm(n);
    if (const NodeId gemm = gemm_below(n); gemm >= 0) return match_codes(gemm, n);
    if (node.op != Op::kSum || node.attributes.dim != 2) return std::nullopt;
    const Type& type = program_.type(node.inputs[0]);
    Product product{n};
    product.outs = type.rows;
    product.cols = type.cols;
    if (!grow(node.inputs[0], n, &product) || product.fields.empty() || !fits(product)) return std::nullopt;
    return product;
  }

  std::optional<Product> match_gemm(NodeId n) const {
    const Node& node = program_.node(n);
    const ValueId x = node.inputs[0], y = node.inputs[1];
    if (plan_.rounds_query(program_, node)) {
      const bool inside = std::any_of(nodes_.begin(), nodes_.end(), [&](NodeId m) { return gemm_below(m) == n; });
      return inside ? std::nullopt : match_codes(n, n);
    }
    if (!analysis_.batched(x) || program_.type(y).format != Format::kPaged || !is_wide_field(plan_, y))
      return std::nullopt;
    const Type &tx = program_.type(x), &ty = program_.type(y);
    if (tx.cols != ty.cols) return std::nullopt;
    Product product{n, {}, {value_field(kIndexer, y)}, {{x, n}}, ty.rows, tx.rows, ty.cols};
    if (!fits(product)) return std::nullopt;
    return product;
  }

  /// The product with codes whose largest of each column `n` is, when nobody else reads it; else -1.
  NodeId gemm_below(NodeId n) const {
    const Node& node = program_.node(n);
    if (node.op != Op::kMax || node.attributes.dim != 1) return -1;
    const ValueId v = node.inputs[0];
    const NodeId gemm = program_.values[static_cast<size_t>(v)].producer;
    if (gemm < 0 || op_info(program_.node(gemm).op).rule != TypeRule::kGemm || analysis_.page_offset.count(v) != 0 ||
        !plan_.rounds_query(program_, program_.node(gemm)) ||
        group_[static_cast<size_t>(gemm)] != group_[static_cast<size_t>(n)])
      return -1;
    const auto reads = [&](const Node& other) {
      return std::find(other.inputs.begin(), other.inputs.end(), v) != other.inputs.end();
    };
    return std::count_if(program_.nodes.begin(), program_.nodes.end(), reads) == 1 ? gemm : -1;
  }

  /// `result`: the GeMM, or its Max(1).
  std::optional<Product> match_codes(NodeId gemm, NodeId result) const {
    const Node& node = program_.node(gemm);
    const int field = value_field(kIndexer, node.inputs[1]), outs = program_.type(node.inputs[0]).rows;
    const FieldSpec& spec = plan_.fields[static_cast<size_t>(field)];
    const int rows = result == gemm ? spec.rows : 1;
    const bool fits =
        CodeLayout(spec.dtype, spec.rows, spec.cols).blocked() && spec.cols >= 32 && rows * outs <= kMostRest;
    if (!fits || plan_.saved_slot(field - plan_.base_fields) >= 0) return std::nullopt;
    Product product{result, {}, {field}, {}, rows, outs, spec.cols, gemm};
    if (result != gemm) product.tree.push_back(gemm);
    return product;
  }

  /// Takes what makes v into the product; false if it cannot run there.
  bool grow(ValueId v, NodeId reader, Product* product) const {
    const Type& type = program_.type(v);
    if (type.cols != 1 && type.cols != product->cols) return false;
    if (analysis_.batched(v)) {
      product->batched.push_back({v, reader});
      return true;
    }
    if (type.format == Format::kPaged) {
      if (type.rows != 1 || type.cols != product->cols || !is_wide_field(plan_, v)) return false;
      const int field = value_field(kIndexer, v);
      auto& fields = product->fields;
      if (std::find(fields.begin(), fields.end(), field) == fields.end()) fields.push_back(field);
      return true;
    }
    const NodeId n = program_.values[static_cast<size_t>(v)].producer;
    const Node& node = program_.node(n);
    const TypeRule rule = op_info(node.op).rule;
    const bool elementwise = rule == TypeRule::kBinary || rule == TypeRule::kUnary;
    if (!elementwise || analysis_.stored(plan_.indexer, n) ||
        std::find(nodes_.begin(), nodes_.end(), n) == nodes_.end() || analysis_.page_offset.count(v) != 0)
      return false;
    for (ValueId input : node.inputs)
      if (!grow(input, n, product)) return false;
    product->tree.push_back(n);
    return true;
  }

  bool fits(const Product& product) const {
    int registers = 0;
    for (const auto& [v, reader] : product.batched)
      registers += program_.type(v).rows * (program_.type(v).cols == 1 ? 1 : steps_of(product.cols) * kVector);
    return registers <= kMostRegisters && product.rows * product.outs <= kMostRest;
  }

  bool is_small(NodeId n) const {
    const Node& node = program_.node(n);
    if (node.output == kNoValue || program_.type(node.output).elements() > kMostRest || node.op == Op::kRotate)
      return false;
    return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) {
      return program_.type(v).elements() <= kMostRest || program_.values[static_cast<size_t>(v)].producer >= 0;
    });
  }

  const Analysis& analysis_;
  const Plan& plan_;
  const Program& program_;
  const std::vector<NodeId>& nodes_;
  const std::vector<int> group_ = group_of_nodes(program_);
};

std::string registers_of(const NodeWriter& writer, NodeId product, ValueId v, NodeId reader) {
  return fmt::format("x{}_{}", product, writer.name(v, reader));
}

}  // namespace

bool fits_thread(const Analysis& analysis, const std::vector<NodeId>& nodes) {
  return Finder(analysis, nodes).all_small();
}

FastPages find_fast_pages(const Analysis& analysis, const std::vector<NodeId>& nodes) {
  return nodes.empty() ? FastPages() : Finder(analysis, nodes).find();
}

int64_t packed_floats(DType dtype, int outs, int cols) {
  const CodeLayout layout(dtype, CodeLayout::kBlockRows, cols);
  const int64_t groups = (layout.padded_cols() / layout.chunk_cols() + 3) / 4, heads = (outs + 7) / 8 * 8;
  return heads * groups * (4 / layout.bits()) * 8 + 2 * heads;
}

std::string pack_call(const Analysis& analysis, const NodeWriter& writer, const Product& product) {
  const FieldSpec& spec = analysis.plan.fields[static_cast<size_t>(product.fields[0])];
  const NodeId gemm = product.code_gemm;
  return fmt::format("pack_query<{}, {}, {}>(block, {}, q{});\nblock.sync();\n", type_name(spec.dtype), product.outs,
                     product.cols, writer.lambda(analysis.plan.indexer.program.node(gemm).inputs[0], gemm), gemm);
}

std::string product_registers(const Analysis& analysis, const NodeWriter& writer, const Product& product) {
  const Program& program = analysis.plan.indexer.program;
  std::string text;
  std::vector<std::string> made;
  for (const auto& [v, reader] : product.batched) {
    const std::string name = registers_of(writer, product.node, v, reader);
    if (std::find(made.begin(), made.end(), name) != made.end()) continue;
    made.push_back(name);
    const Type& type = program.type(v);
    const int slots = type.cols == 1 ? 1 : steps_of(product.cols) * kVector;
    text += fmt::format("float {}[{}];\nload_slots<{}, {}, {}>({}, {});\n", name, type.rows * slots, type.rows,
                        type.cols, slots, writer.name(v, reader), name);
  }
  return text;
}

std::string product_call(const Analysis& analysis, const NodeWriter& writer, const Product& product, int batch,
                         const std::string& out) {
  const Plan& plan = analysis.plan;
  const Program& program = plan.indexer.program;
  const Node& node = program.node(product.node);
  if (product.codes()) {
    const FieldSpec& spec = plan.fields[static_cast<size_t>(product.fields[0])];
    return fmt::format("code_products<{}, {}, {}, {}, {}>(a.fields[{}], {}, mine, count, packed{}, {});\n",
                       type_name(spec.dtype), spec.rows, product.outs, product.cols, product.node != product.code_gemm,
                       product.fields[0], spec.page_bytes(), product.code_gemm, out);
  }
  const size_t fields = product.fields.size();
  std::string bases, bytes, body;
  for (size_t f = 0; f < fields; ++f) {
    bases += fmt::format("{}a.fields[{}]", f == 0 ? "" : ", ", product.fields[f]);
    bytes += fmt::format("{}{}", f == 0 ? "" : ", ", plan.fields[static_cast<size_t>(product.fields[f])].page_bytes());
    body += fmt::format("const auto v{} = [&](int, int) {{ return f[{}]; }};\n",
                        field_value(kIndexer, product.fields[f]), f);
  }
  std::vector<std::string> made;
  for (const auto& [v, reader] : product.batched) {
    const std::string name = writer.name(v, reader), held = registers_of(writer, product.node, v, reader);
    if (std::find(made.begin(), made.end(), name) != made.end()) continue;
    made.push_back(name);
    const Type& type = program.type(v);
    const int slots = steps_of(product.cols) * kVector;
    body += fmt::format("const auto {} = [&](int i, int j) {{ return {}[{}]; }};\n", name, held,
                        type.cols == 1 ? std::string("i") : fmt::format("i * {} + j", slots));
  }
  for (NodeId n : product.tree) body += writer.define_inline(n);
  const bool gemm = op_info(node.op).rule == TypeRule::kGemm;
  const std::string value = gemm ? fmt::format("f[0] * {}", writer.call(node.inputs[0], product.node, "i", "j"))
                                 : writer.call(node.inputs[0], product.node, "i", "j");
  return fmt::format(
      "{{\nconst unsigned char* const bases[] = {{{}}};\nconst int bytes[] = {{{}}};\n"
      "products<{}, {}, {}, {}, {}, {}>(bases, bytes, mine, [&](int i, int j, const float* f) -> float {{\n{}"
      "return {};\n}}, {});\n}}\n",
      bases, bytes, type_name(plan.fields[static_cast<size_t>(product.fields[0])].dtype), fields, product.rows,
      product.outs, product.cols, batch, body, value, out);
}

}  // namespace vortex::flow

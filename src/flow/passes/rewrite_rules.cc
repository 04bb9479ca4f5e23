// The rewrite table and its rules. Each rule looks at a node and at what makes its inputs. "Keeps" is proved in the
// table's last column for finite numbers and exact arithmetic; in floating point a rewrite drops roundings, and picks
// by the finer order where a saturated exponential or a rounding to bfloat16 would have made ties.
#include <array>
#include <cmath>

#include "flow/passes/rewriter.h"

namespace vortex::flow {
namespace {

using Answer = std::optional<ValueId>;

Attributes along(int dim) {
  Attributes attributes;
  attributes.dim = dim;
  return attributes;
}

int extent(const Type& type, int dim) { return dim == 1 ? type.rows : type.cols; }
bool is_vector(const Type& type) { return type.rows == 1 || type.cols == 1; }
bool same_inner(const Type& a, const Type& b) { return a.rows == b.rows && a.cols == b.cols; }
bool over_inner_axis(const Node& n) {
  return op_info(n.op).rule == TypeRule::kReduce && (n.attributes.dim == 1 || n.attributes.dim == 2);
}

ValueId reshape(Rewriter& r, ValueId x, int rows, int cols) {
  Attributes shape;
  shape.rows = rows;
  shape.cols = cols;
  return r.make(Op::kReshape, {x}, shape);
}

/// Never 0 or below in exact arithmetic.
bool is_positive(const Rewriter& r, ValueId v) {
  const auto n = r.maker(v);
  if (!n) return false;
  if (n->op == Op::kMaskSlice) return n->attributes.alpha > 0 && n->attributes.beta > 0;
  return n->op == Op::kExp || n->op == Op::kSigmoid || n->op == Op::kSoftmax;
}

/// Strictly rising for every argument.
bool is_rising(const Node& n) {
  if (n.op == Op::kSigmoid) return n.attributes.beta < 0;
  return (n.op == Op::kExp || n.op == Op::kAddMul) && n.attributes.beta > 0;
}

/// x and the factor of it, if `n` is factor * x + (the same number on every page).
struct Line {
  ValueId x;
  float factor;
};
std::optional<Line> line_of(const Rewriter& r, const Node& n) {
  const Attributes& a = n.attributes;
  if (n.op == Op::kAddMul) return Line{n.inputs[0], a.beta};
  if (n.op != Op::kAdd) return std::nullopt;
  if (r.is_batched(n.inputs[1])) return Line{n.inputs[0], a.alpha};
  if (r.is_batched(n.inputs[0])) return Line{n.inputs[1], a.beta};
  return std::nullopt;
}

// Keeps::kValue.

Answer reduction_of_one(Rewriter& r, const Node& n) {
  const bool interleaved = op_info(n.op).rule == TypeRule::kInterleave;
  if (!interleaved && !over_inner_axis(n)) return {};
  const Op op = *reduction_of(n.op);
  if (op == Op::kL2Norm || op == Op::kStdDev || r.is_paged(n.inputs[0])) return {};
  const int count = interleaved ? n.attributes.k : extent(r.type(n.inputs[0]), n.attributes.dim);
  return count == 1 ? Answer(n.inputs[0]) : Answer();
}

Answer interleave_of_axis(Rewriter& r, const Node& n) {
  if (op_info(n.op).rule != TypeRule::kInterleave) return {};
  if (n.attributes.k != extent(r.type(n.inputs[0]), n.attributes.dim)) return {};
  return r.make(*reduction_of(n.op), n.inputs, along(n.attributes.dim));
}

Answer reshape_chain(Rewriter& r, const Node& n) {
  if (n.op != Op::kReshape) return {};
  if (const auto inner = r.maker(n.inputs[0], Op::kReshape)) return r.make(Op::kReshape, inner->inputs, n.attributes);
  const Type& x = r.type(n.inputs[0]);
  if (r.is_paged(n.inputs[0]) || x.rows != n.attributes.rows || x.cols != n.attributes.cols) return {};
  return n.inputs[0];
}

Answer transpose_twice(Rewriter& r, const Node& n) {
  if (n.op != Op::kTranspose) return {};
  const auto inner = r.maker(n.inputs[0], Op::kTranspose);
  if (!inner || r.is_paged(inner->inputs[0])) return {};
  return inner->inputs[0];
}

Answer transpose_of_vector(Rewriter& r, const Node& n) {
  if (n.op != Op::kTranspose || r.is_paged(n.inputs[0]) || !is_vector(r.type(n.inputs[0]))) return {};
  const Type x = r.type(n.inputs[0]);
  return reshape(r, n.inputs[0], x.cols, x.rows);
}

Answer reduction_of_reshaped(Rewriter& r, const Node& n) {
  if (!over_inner_axis(n)) return {};
  const auto inner = r.maker(n.inputs[0], Op::kReshape);
  if (!inner || r.is_paged(inner->inputs[0])) return {};
  const Type x = r.type(inner->inputs[0]), y = r.type(n.inputs[0]);
  const int dim = n.attributes.dim, other = 3 - dim;
  if (!is_vector(x) || extent(y, other) != 1 || extent(x, dim) != 1) return {};
  return r.make(n.op, inner->inputs, along(other));
}

Answer kron_of_one(Rewriter& r, const Node& n) {
  if (n.op != Op::kKron) return {};
  const Type &x = r.type(n.inputs[0]), &y = r.type(n.inputs[1]);
  for (int dim : {1, 2})
    if ((n.attributes.dims & dim) != 0 && extent(x, dim) != 1 && extent(y, dim) != 1) return {};
  return r.make(Op::kMultiply, n.inputs, default_attributes(Op::kMultiply));
}

Answer gemv(Rewriter& r, const Node& n) {
  if (n.op != Op::kGemv) return {};
  return r.make(Op::kGemm, n.inputs, {});
}

Answer sum_of_products(Rewriter& r, const Node& n) {
  if (n.op != Op::kSum || n.attributes.dim != 2) return {};
  const auto product = r.maker(n.inputs[0], Op::kMultiply);
  if (!product) return {};
  ValueId x = product->inputs[0], y = product->inputs[1];
  if (!r.is_batched(x)) std::swap(x, y);
  const Type tx = r.type(x), ty = r.type(y);
  if (!r.is_batched(x) || r.is_batched(y) || tx.cols != ty.cols || r.is_coded(y)) return {};
  if (tx.rows == 1) return r.make(Op::kGemm, {x, y}, {});
  if (ty.rows != 1) return {};
  return reshape(r, r.make(Op::kGemm, {x, y}, {}), tx.rows, 1);
}

Answer mean_of_products(Rewriter& r, const Node& n) {
  if ((n.op != Op::kSum && n.op != Op::kMean) || !over_inner_axis(n)) return {};
  const auto product = r.maker(n.inputs[0], Op::kGemm);
  if (!product) return {};
  const ValueId x = product->inputs[0], y = product->inputs[1];  // columns are rows of x, rows are rows of y
  const ValueId reduced = n.attributes.dim == 2 ? x : y, kept = n.attributes.dim == 2 ? y : x;
  if (!r.is_batched(reduced) || r.is_batched(kept) || r.is_coded(kept)) return {};
  const ValueId folded = r.make(n.op, {reduced}, along(1));
  if (n.attributes.dim == 2) return r.make(Op::kGemm, {folded, kept}, {});
  return r.make(Op::kGemm, {kept, folded}, {});
}

Answer scaled_product(Rewriter& r, const Node& n) {
  if (n.op != Op::kAddMul || n.attributes.alpha != 0) return {};
  const auto product = r.maker(n.inputs[0], Op::kGemm);
  if (!product) return {};
  std::vector<ValueId> inputs = product->inputs;
  if (r.is_batched(inputs[0]) == r.is_batched(inputs[1])) return {};
  ValueId& batched = r.is_batched(inputs[0]) ? inputs[0] : inputs[1];
  batched = r.make(Op::kAddMul, {batched}, n.attributes);
  return r.make(Op::kGemm, std::move(inputs), {});
}

Answer max_of_rising(Rewriter& r, const Node& n) {
  if ((n.op != Op::kMax && n.op != Op::kMin) || !over_inner_axis(n)) return {};
  const auto inner = r.maker(n.inputs[0]);
  if (!inner || !is_rising(*inner)) return {};
  return r.make(inner->op, {r.make(n.op, inner->inputs, n.attributes)}, inner->attributes);
}

Answer softmax_of_line(Rewriter& r, const Node& n) {
  if (n.op != Op::kSoftmax) return {};
  const auto inner = r.maker(n.inputs[0]);
  const auto line = inner ? line_of(r, *inner) : std::nullopt;
  if (!line || r.type(line->x) != r.type(n.inputs[0])) return {};
  Attributes attributes = n.attributes;
  attributes.scale *= line->factor;
  if (!std::isnormal(attributes.scale)) return {};
  return r.make(Op::kSoftmax, {line->x}, attributes);
}

/// Multiply(Maximum(Multiply(a, x), Multiply(b, y)), mask): a and b take the mask over, once a row.
Answer mask_of_bound(Rewriter& r, const Node& n) {
  if (n.op != Op::kMultiply || r.side() != kIndexer) return {};
  for (size_t i : {0, 1}) {
    const auto bound = r.maker(n.inputs[i]), mask = r.maker(n.inputs[1 - i], Op::kMaskSlice);
    if (!bound || !mask || (bound->op != Op::kMaximum && bound->op != Op::kMinimum)) continue;
    if (mask->attributes.alpha < 0 || mask->attributes.beta < 0) continue;
    const auto u = r.maker(bound->inputs[0], Op::kMultiply), v = r.maker(bound->inputs[1], Op::kMultiply);
    if (!u || !v || !r.is_batched(u->inputs[0]) || !r.is_batched(v->inputs[0])) continue;
    const Type query = r.type(kQueryValue);
    if (!same_inner(r.type(n.inputs[1 - i]), query) || !same_inner(r.type(n.inputs[i]), query)) continue;
    const ValueId weight = r.make(Op::kMaskSlice, {kQueryValue}, mask->attributes);
    const ValueId a = r.make(Op::kMultiply, {u->inputs[0], weight}, {});
    const bool same = u->inputs[0] == v->inputs[0];
    const ValueId b = same ? a : r.make(Op::kMultiply, {v->inputs[0], weight}, {});
    const ValueId left = r.make(Op::kMultiply, {a, u->inputs[1]}, {});
    const ValueId right = r.make(Op::kMultiply, {b, v->inputs[1]}, {});
    return r.make(bound->op, {left, right}, {});
  }
  return {};
}

/// Max(Sum(Maximum(Kron(b, high), Kron(b, low)), 2), 1): the best bound of any head and any part of a page. What is
/// not negative in b meets `high`, the rest `low`, so that two products give all bounds.
Answer bounds_of_parts(Rewriter& r, const Node& n) {
  if (n.op != Op::kMax || n.attributes.dim != 1) return {};
  const auto sum = r.maker(n.inputs[0], Op::kSum);
  const auto larger = sum && sum->attributes.dim == 2 ? r.maker(sum->inputs[0], Op::kMaximum) : std::nullopt;
  if (!larger) return {};
  const auto u = r.maker(larger->inputs[0], Op::kKron), v = r.maker(larger->inputs[1], Op::kKron);
  if (!u || !v || u->attributes.dims != 1 || v->attributes.dims != 1 || u->inputs[0] != v->inputs[0]) return {};
  const ValueId b = u->inputs[0];
  ValueId high = u->inputs[1], low = v->inputs[1];
  if (!r.are_bounds(high, low)) std::swap(high, low);
  if (!r.is_batched(b) || !r.are_bounds(high, low) || r.type(b).cols != r.type(high).cols) return {};
  const ValueId up = r.make(Op::kRelu, {b}, {});
  Attributes difference = default_attributes(Op::kAdd);
  difference.beta = -1;
  const ValueId down = r.make(Op::kAdd, {b, up}, difference);
  const ValueId products[] = {r.make(Op::kGemm, {up, high}, {}), r.make(Op::kGemm, {down, low}, {})};
  const ValueId bounds = r.make(Op::kAdd, {products[0], products[1]}, default_attributes(Op::kAdd));
  return r.make(Op::kMax, {r.make(Op::kMax, {bounds}, along(1))}, along(2));
}

// Keeps::kShift and Keeps::kOrder: `root` makes the score.

Answer shift(Rewriter& r, const Node& root) {
  const auto line = line_of(r, root);
  return line && line->factor == 1 ? Answer(line->x) : Answer();
}

Answer rising_line(Rewriter& r, const Node& root) {
  const auto line = line_of(r, root);
  return line && line->factor > 0 ? Answer(line->x) : Answer();
}

Answer positive_factor(Rewriter& r, const Node& root) {
  if (root.op != Op::kMultiply) return {};
  for (size_t i : {0, 1})
    if (r.is_batched(root.inputs[i]) && is_positive(r, root.inputs[i])) return root.inputs[1 - i];
  return {};
}

Answer rising_function(Rewriter&, const Node& root) { return is_rising(root) ? Answer(root.inputs[0]) : Answer(); }

Answer log_of_positive(Rewriter& r, const Node& root) {
  if (root.op != Op::kLog || root.attributes.beta <= 0 || root.attributes.alpha < 0) return {};
  return is_positive(r, root.inputs[0]) ? Answer(root.inputs[0]) : Answer();
}

Answer softmax_of_score(Rewriter&, const Node& root) {
  return root.op == Op::kSoftmax && root.attributes.scale > 0 ? Answer(root.inputs[0]) : Answer();
}

Answer normalized_score(Rewriter&, const Node& root) {
  return root.op == Op::kNormalize ? Answer(root.inputs[0]) : Answer();
}

constexpr std::array kRules = {
    RewriteRule{"reduction_of_one", Keeps::kValue, "Max | Min | Sum | Mean | LogSumExp of one element", "the element",
                "each of them gives the element itself", reduction_of_one},
    RewriteRule{"interleave_of_axis", Keeps::kValue, "MaxInterleave(x, k = the axis), and its kin", "Max(x)",
                "one group holds the whole axis", interleave_of_axis},
    RewriteRule{"reshape_chain", Keeps::kValue, "Reshape(Reshape(x)); Reshape to the same shape", "Reshape(x); x",
                "elements keep their order", reshape_chain},
    RewriteRule{"transpose_twice", Keeps::kValue, "Transpose(Transpose(x))", "x", "a swap undone", transpose_twice},
    RewriteRule{"transpose_of_vector", Keeps::kValue, "Transpose(vector)", "Reshape(vector)",
                "with one row or column both orders of the elements are the same", transpose_of_vector},
    RewriteRule{"reduction_of_reshaped", Keeps::kValue, "Max(Reshape(vector), dim), and its kin",
                "Max(vector, the other dim)", "the same elements are reduced", reduction_of_reshaped},
    RewriteRule{"kron_of_one", Keeps::kValue, "Kron(x, y) where one axis of each pair is 1", "Multiply(x, y)",
                "the product of sizes n and 1 is a broadcast", kron_of_one},
    RewriteRule{"gemv", Keeps::kValue, "GeMV(x, y)", "GeMM(x, y)", "GeMV is GeMM of single rows", gemv},
    RewriteRule{"sum_of_products", Keeps::kValue, "Sum(Multiply(b, y), 2), y not of few-bit codes",
                "GeMM(b, y), reshaped", "both are sum over d of b[d] * y[d]", sum_of_products},
    RewriteRule{"mean_of_products", Keeps::kValue, "Mean(GeMM(b, y), 2), or Sum, y not of few-bit codes",
                "GeMM(Mean(b, 1), y)", "a product is linear: the mean of <b_h, y> is <mean of b_h, y>",
                mean_of_products},
    RewriteRule{"scaled_product", Keeps::kValue, "Add_Mul(GeMM(b, y), alpha = 0)", "GeMM(Add_Mul(b), y)",
                "a product is linear: c <b, y> = <c b, y>, once a row", scaled_product},
    RewriteRule{"max_of_rising", Keeps::kValue, "Max(f(x)) or Min, f = Exp, Add_Mul, Sigmoid rising", "f(Max(x))",
                "a rising function keeps the largest element the largest", max_of_rising},
    RewriteRule{"softmax_of_line", Keeps::kValue, "Softmax(c * x + d, scale), d equal for all pages",
                "Softmax(x, scale * c)", "exp(scale * d) divides out", softmax_of_line},
    RewriteRule{"mask_of_bound", Keeps::kValue, "Multiply(Maximum(Multiply(a, x), Multiply(b, y)), mask), mask >= 0",
                "Maximum(Multiply(mask a, x), Multiply(mask b, y))",
                "a factor >= 0 distributes over the maximum, once a row", mask_of_bound},
    RewriteRule{"bounds_of_parts", Keeps::kValue, "Max(Sum(Maximum(Kron(b, high), Kron(b, low)), 2), 1), high >= low",
                "Max of GeMM(b where >= 0, high) + GeMM(b where < 0, low)",
                "the larger of b high and b low is b high where b >= 0, else b low; Max is over all heads and parts",
                bounds_of_parts},
    RewriteRule{"shift", Keeps::kShift, "score = x + d, d equal for all pages", "x",
                "a softmax and an order do not change under a shift", shift},
    RewriteRule{"rising_line", Keeps::kOrder, "score = c * x + d, c > 0, d equal for all pages", "x",
                "strictly rising in x", rising_line},
    RewriteRule{"positive_factor", Keeps::kOrder, "score = Multiply(x, b), b = Exp or Sigmoid of something", "x",
                "b > 0 and equal for all pages", positive_factor},
    RewriteRule{"rising_function", Keeps::kOrder, "score = Exp(x, beta > 0) or Sigmoid(x, beta < 0)", "x",
                "strictly rising in x", rising_function},
    RewriteRule{"log_of_positive", Keeps::kOrder, "score = Log(x, alpha >= 0, beta > 0), x an exponential", "x",
                "strictly rising where x > 0, and it is", log_of_positive},
    RewriteRule{"softmax_of_score", Keeps::kOrder, "score = Softmax(x, scale > 0)", "x",
                "exp(scale * x) rises in x, the sum is equal for all pages", softmax_of_score},
    RewriteRule{"normalized_score", Keeps::kOrder, "score = Normalize(x)", "x",
                "the norm is positive and equal for all pages", normalized_score},
};

}  // namespace

std::span<const RewriteRule> rewrite_rules() { return kRules; }

}  // namespace vortex::flow

#include "flow/interp/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "flow/ir/rotation.h"
#include "tensor/half.h"

namespace vortex::flow::interp {
namespace {

// What the expressions in ops.def are made of.
constexpr float kMasked = -1e30f;
float one() { return 1.0f; }
float max(float x, float y) { return x > y ? x : y; }
float min(float x, float y) { return x < y ? x : y; }
float abs(float x) { return std::fabs(x); }
float exp(float x) { return std::exp(x); }
float log(float x) { return std::log(x); }
float keep_if_ge(float x, float bound, float other) { return x >= bound ? x : other; }
float mask_eq(float x, float y) { return x == y ? 0.0f : kMasked; }
float mask_ne(float x, float y) { return x != y ? 0.0f : kMasked; }
float mask_gt(float x, float y) { return x > y ? 0.0f : kMasked; }
float mask_ge(float x, float y) { return x >= y ? 0.0f : kMasked; }

float unary_value(Op op, float x, float a, float b) {
  switch (op) {
#define VORTEX_UNARY(op, name, attributes, alpha, beta, expression) \
  case Op::op:                                                      \
    static_cast<void>(a), static_cast<void>(b);                     \
    return expression;
#include "flow/ir/ops.def"
    default:
      VORTEX_CHECK(false, "{} is not unary", op_info(op).name);
  }
}

float binary_value(Op op, float x, float y, float a, float b) {
  switch (op) {
#define VORTEX_BINARY(op, name, attributes, alpha, beta, expression) \
  case Op::op:                                                       \
    static_cast<void>(a), static_cast<void>(b);                      \
    return expression;
#include "flow/ir/ops.def"
    default:
      VORTEX_CHECK(false, "{} is not binary", op_info(op).name);
  }
}

/// One reduction over `n` numbers, x(0) .. x(n - 1); sums in double.
template <class At>
float reduce_value(Op op, int n, At x) {
  if (n == 0) return 0.0f;
  double sum = 0, squares = 0;
  float best = x(0);
  const bool lowest = op == Op::kMin;
  for (int i = 0; i < n; ++i) {
    const double value = x(i);
    sum += value;
    squares += value * value;
    const bool better = lowest ? x(i) < best : x(i) > best;
    if (better || std::isnan(x(i))) best = x(i);
    if (std::isnan(best)) break;
  }
  if (std::isnan(best)) return best;
  switch (op) {
    case Op::kSum:
      return static_cast<float>(sum);
    case Op::kMean:
      return static_cast<float>(sum * (1.0 / n));
    case Op::kMax:
    case Op::kMin:
      return best;
    case Op::kL2Norm:
      return static_cast<float>(std::sqrt(squares));
    case Op::kLogSumExp: {
      if (std::isinf(best)) return best;
      double total = 0;
      for (int i = 0; i < n; ++i) total += std::exp(static_cast<double>(x(i)) - best);
      return static_cast<float>(best + std::log(total));
    }
    case Op::kStdDev: {
      double spread = 0;
      for (int i = 0; i < n; ++i) spread += (x(i) - sum / n) * (x(i) - sum / n);
      return static_cast<float>(std::sqrt(spread / n));
    }
    default:
      VORTEX_CHECK(false, "{} is not a reduction", op_info(op).name);
  }
}

template <class Value>
Array fill(int pages, int rows, int cols, Value value) {
  Array out(pages, rows, cols);
  for (int s = 0; s < pages; ++s)
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < cols; ++j) out.at(s, i, j) = value(s, i, j);
  return out;
}

Array gemm(const Array& x, const Array& y, int pages) {
  return fill(pages, y.rows, x.rows, [&](int s, int a, int b) {
    double sum = 0;
    for (int k = 0; k < x.cols; ++k) sum += double{y.broadcast(s, a, k)} * x.broadcast(s, b, k);
    return static_cast<float>(sum);
  });
}

/// Reduces each `k` consecutive elements of axis 1 or 2.
Array reduce_inner(Op op, const Array& x, int dim, int k) {
  const int rows = dim == 1 ? x.rows / k : x.rows, cols = dim == 2 ? x.cols / k : x.cols;
  return fill(x.pages, rows, cols, [&](int s, int i, int j) {
    return reduce_value(op, k, [&](int t) { return dim == 1 ? x.at(s, i * k + t, j) : x.at(s, i, j * k + t); });
  });
}

Array reduce_pages(Op op, const Array& x, Range middle) {
  return fill(1, x.rows, x.cols, [&](int, int i, int j) {
    return reduce_value(op, std::max(0, middle.end - middle.begin),
                        [&](int t) { return x.at(middle.begin + t, i, j); });
  });
}

/// Runs over the middle of one (i, j) column at a time; elsewhere the result is 0.
template <class Column>
Array over_pages(const Array& x, Range middle, Column column) {
  Array out(x.pages, x.rows, x.cols);
  for (int i = 0; i < x.rows; ++i) {
    for (int j = 0; j < x.cols; ++j) {
      const auto in = [&](int s) { return x.at(s, i, j); };
      const auto value = column(in, i, j);
      for (int s = middle.begin; s < middle.end; ++s) out.at(s, i, j) = value(s);
    }
  }
  return out;
}

Array softmax(const Array& x, float scale, Range middle) {
  return over_pages(x, middle, [&](auto in, int, int) {
    float top = -std::numeric_limits<float>::infinity();
    for (int s = middle.begin; s < middle.end; ++s) top = std::max(top, scale * in(s));
    double total = 0;
    for (int s = middle.begin; s < middle.end; ++s) total += std::exp(double{scale * in(s)} - top);
    return [=](int s) { return static_cast<float>(std::exp(double{scale * in(s)} - top) / total); };
  });
}

Array normalize(const Array& x, Range middle) {
  return over_pages(x, middle, [&](auto in, int, int) {
    double squares = 0;
    for (int s = middle.begin; s < middle.end; ++s) squares += double{in(s)} * in(s);
    const double norm = std::max(std::sqrt(squares), 1e-12);
    return [=](int s) { return static_cast<float>(in(s) / norm); };
  });
}

Array conv1d(const Array& x, const Attributes& attributes, Range middle) {
  return over_pages(x, middle, [&](auto in, int i, int j) {
    return [=, &x, &attributes](int s) {
      double sum = 0;
      for (int t = 0; t < attributes.k && s - t >= middle.begin; ++t)
        sum += double{attributes.weight[(static_cast<size_t>(t) * x.rows + i) * x.cols + j]} * in(s - t);
      return static_cast<float>(sum);
    };
  });
}

Array kron(const Array& x, const Array& y, int dims, int pages) {
  const bool on_rows = (dims & 1) != 0, on_cols = (dims & 2) != 0;
  const int rows = on_rows ? x.rows * y.rows : std::max(x.rows, y.rows);
  const int cols = on_cols ? x.cols * y.cols : std::max(x.cols, y.cols);
  return fill(pages, rows, cols, [&](int s, int i, int j) {
    const float a = x.broadcast(s, on_rows ? i / y.rows : i, on_cols ? j / y.cols : j);
    return a * y.broadcast(s, on_rows ? i % y.rows : i, on_cols ? j % y.cols : j);
  });
}

Array rotate(const Array& x) {
  Array out = x;
  for (int r = 0; r < x.pages * x.rows; ++r) rotate_in_place(out.data.data() + static_cast<size_t>(r) * x.cols, x.cols);
  return out;
}

Array mask_slice(const Array& x, const Attributes& a) {
  return fill(x.pages, x.rows, x.cols, [&](int, int i, int j) {
    const int index = a.dim == 1 ? i : j;
    return a.start <= index && index < a.end ? a.alpha : a.beta;
  });
}

Array page_axis(Op op, const Array& x, const Attributes& attributes, Range middle) {
  if (op == Op::kSoftmax) return softmax(x, attributes.scale, middle);
  if (op == Op::kNormalize) return normalize(x, middle);
  return conv1d(x, attributes, middle);
}

Array reduce(Op op, const Array& x, int dim, Range middle) {
  if (dim == 0) return reduce_pages(op, x, middle);
  return reduce_inner(op, x, dim, dim == 1 ? x.rows : x.cols);
}

Array reshape(Array x, int rows, int cols) {
  x.rows = rows;
  x.cols = cols;
  return x;
}

}  // namespace

Array project(const Array& x, int rows, int cols, const uint16_t* weights) {
  const size_t numbers = x.data.size(), width = static_cast<size_t>(rows) * static_cast<size_t>(cols);
  return fill(1, rows, cols, [&](int, int i, int j) {
    const size_t out = static_cast<size_t>(i) * static_cast<size_t>(cols) + static_cast<size_t>(j);
    double sum = 0;
    if (weights == nullptr) {
      for (size_t k = out; k < numbers; k += width) sum += x.data[k];
    } else {
      for (size_t k = 0; k < numbers; ++k) sum += double{bf16_to_f32(weights[out * numbers + k])} * x.data[k];
    }
    return static_cast<float>(sum);
  });
}

Array evaluate(const Node& node, const std::vector<const Array*>& inputs, int pages, Range middle) {
  const Attributes& a = node.attributes;
  const Array& x = *inputs.at(0);
  const Array& y = *inputs.back();
  switch (op_info(node.op).rule) {
    case TypeRule::kUnary:
      if (node.op == Op::kRotate) return rotate(x);
      return fill(x.pages, x.rows, x.cols,
                  [&](int s, int i, int j) { return unary_value(node.op, x.at(s, i, j), a.alpha, a.beta); });
    case TypeRule::kBinary:
      return fill(pages, std::max(x.rows, y.rows), std::max(x.cols, y.cols), [&](int s, int i, int j) {
        return binary_value(node.op, x.broadcast(s, i, j), y.broadcast(s, i, j), a.alpha, a.beta);
      });
    case TypeRule::kGemm:
      return gemm(x, y, pages);
    case TypeRule::kReduce:
      return reduce(node.op, x, a.dim, middle);
    case TypeRule::kInterleave:
      return reduce_inner(*reduction_of(node.op), x, a.dim, a.k);
    case TypeRule::kPageAxis:
      return page_axis(node.op, x, a, middle);
    case TypeRule::kKron:
      return kron(x, y, a.dims, pages);
    case TypeRule::kTranspose:
      return fill(x.pages, x.cols, x.rows, [&](int s, int i, int j) { return x.at(s, j, i); });
    case TypeRule::kReshape:
      return reshape(x, a.rows, a.cols);
    case TypeRule::kMaskSlice:
      return mask_slice(x, a);
    case TypeRule::kLoad:
      return x;
    default:
      VORTEX_CHECK(false, "{} makes no value", op_info(node.op).name);
  }
}

}  // namespace vortex::flow::interp

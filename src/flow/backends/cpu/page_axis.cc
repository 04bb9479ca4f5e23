#include "flow/backends/cpu/page_axis.h"

#include <algorithm>

#include "flow/backends/cpu/elements.h"

namespace vortex::flow {
namespace {

/// Causal taps over a column of n numbers, from the end so that it works in place.
void convolve(const Attributes& a, int64_t elements, int64_t column, float* x, int64_t n) {
  for (int64_t s = n - 1; s >= 0; --s) {
    float sum = 0;
    for (int64_t t = 0; t < a.k && t <= s; ++t) sum += a.weight[static_cast<size_t>(t * elements + column)] * x[s - t];
    x[s] = sum;
  }
}

void run_column(const Node& node, const TileKernels& kernels, int64_t elements, int64_t column, float* x, int64_t n) {
  if (node.op == Op::kSoftmax) return kernels.softmax(x, n, node.attributes.scale);
  if (node.op == Op::kNormalize) return kernels.normalize(x, n);
  convolve(node.attributes, elements, column, x, n);
}

}  // namespace

void run_page_axis(const Node& node, const TileKernels& kernels, DType dtype, int64_t elements, int64_t pages,
                   int64_t begin, int64_t end, const float* x, float* out, ThreadScratch* scratch) {
  const int64_t n = end - begin;
  if (op_info(node.op).rule == TypeRule::kReduce) {
    kernels.reduce(node.op, x + begin * elements, out, 1, n, elements);
    round_floats(kernels, dtype, out, out, elements);
    return;
  }
  std::fill_n(out, static_cast<size_t>(begin * elements), 0.0f);
  std::fill_n(out + end * elements, static_cast<size_t>((pages - end) * elements), 0.0f);
  std::vector<float>& column = scratch->column;
  if (static_cast<int64_t>(column.size()) < n) column.resize(static_cast<size_t>(n));
  float* middle = out + begin * elements;
  if (node.op == Op::kSoftmax &&
      kernels.softmax_columns(x + begin * elements, middle, n, elements, node.attributes.scale))
    return round_floats(kernels, dtype, middle, middle, n * elements);
  for (int64_t e = 0; e < elements; ++e) {
    for (int64_t s = 0; s < n; ++s) column[static_cast<size_t>(s)] = x[(begin + s) * elements + e];
    run_column(node, kernels, elements, e, column.data(), n);
    for (int64_t s = 0; s < n; ++s) middle[s * elements + e] = column[static_cast<size_t>(s)];
  }
  round_floats(kernels, dtype, middle, middle, n * elements);
}

}  // namespace vortex::flow

// The functions of include/vortex/flow.h: each records one operator.
#include "flow/frontend/tracer.h"

namespace vortex {
namespace {

using flow::Attributes;
using flow::default_attributes;
using flow::Op;
using flow::Tracer;

Tensor unary(Op op, const Tensor& x, const Attributes& attributes, const SourceLocation& at) {
  return Tracer::of(x, op, at).apply(op, {x}, attributes, at);
}
Tensor unary(Op op, const Tensor& x, const SourceLocation& at) { return unary(op, x, default_attributes(op), at); }

Tensor binary(Op op, const Tensor& x, const Tensor& y, const Attributes& attributes, const SourceLocation& at) {
  return Tracer::of(x, op, at).apply(op, {x, y}, attributes, at);
}
Tensor binary(Op op, const Tensor& x, const Tensor& y, const SourceLocation& at) {
  return binary(op, x, y, default_attributes(op), at);
}

Attributes with_dim(int dim, int k = 0) {
  Attributes attributes;
  attributes.dim = dim;
  attributes.k = k;
  return attributes;
}

Attributes with_line(float alpha, float beta) {
  Attributes attributes;
  attributes.alpha = alpha;
  attributes.beta = beta;
  return attributes;
}

/// Axis set as a bit mask: 1 for axis 1, 2 for axis 2; 0, which inference refuses, for anything else.
int axis_mask(const std::vector<int>& dims) {
  int mask = 0;
  for (int dim : dims) {
    if ((dim != 1 && dim != 2) || (mask & dim) != 0) return 0;
    mask |= dim;
  }
  return mask;
}

}  // namespace

Tensor CacheScope::operator[](const FieldName& field) { return tracer_->read(field); }
void CacheScope::write(const FieldName& field, const Tensor& value) { tracer_->store(Op::kWrite, {value}, field, 0); }
void CacheScope::fill(const FieldName& field, float value) { tracer_->store(Op::kFill, {}, field, value); }

Tensor IndexerScope::operator[](const FieldName& field) { return tracer_->read(field); }
Tensor IndexerScope::load(const FieldName& field) {
  return tracer_->apply(Op::kLoad, {tracer_->read(field)}, default_attributes(Op::kLoad), field.where);
}
void IndexerScope::save(const FieldName& field, const Tensor& value) { tracer_->store(Op::kSave, {value}, field, 0); }

#define VORTEX_BINARY_FUNCTION(name, op) \
  Tensor name(const Tensor& x, const Tensor& y, SourceLocation at) { return binary(Op::op, x, y, at); }
#define VORTEX_REDUCTION(name, op) \
  Tensor name(const Tensor& x, int dim, SourceLocation at) { return unary(Op::op, x, with_dim(dim), at); }
#define VORTEX_INTERLEAVED(name, op) \
  Tensor name(const Tensor& x, int dim, int k, SourceLocation at) { return unary(Op::op, x, with_dim(dim, k), at); }
#define VORTEX_LINE_FUNCTION(name, op)                                       \
  Tensor name(const Tensor& x, float alpha, float beta, SourceLocation at) { \
    return unary(Op::op, x, with_line(alpha, beta), at);                     \
  }

VORTEX_BINARY_FUNCTION(gemm, kGemm)
VORTEX_BINARY_FUNCTION(gemv, kGemv)
VORTEX_BINARY_FUNCTION(multiply, kMultiply)
VORTEX_BINARY_FUNCTION(maximum, kMaximum)
VORTEX_BINARY_FUNCTION(minimum, kMinimum)
VORTEX_BINARY_FUNCTION(where_equal, kWhereEqual)
VORTEX_BINARY_FUNCTION(where_not_equal, kWhereNotEqual)
VORTEX_BINARY_FUNCTION(where_greater, kWhereGreater)
VORTEX_BINARY_FUNCTION(where_greater_equal, kWhereGreaterEqual)
VORTEX_BINARY_FUNCTION(where_less, kWhereLess)
VORTEX_BINARY_FUNCTION(where_less_equal, kWhereLessEqual)

VORTEX_REDUCTION(sum, kSum)
VORTEX_REDUCTION(mean, kMean)
VORTEX_REDUCTION(max, kMax)
VORTEX_REDUCTION(min, kMin)
VORTEX_REDUCTION(l2norm, kL2Norm)
VORTEX_REDUCTION(log_sum_exp, kLogSumExp)
VORTEX_REDUCTION(std_dev, kStdDev)
VORTEX_REDUCTION(normalize, kNormalize)

VORTEX_INTERLEAVED(mean_interleave, kMeanInterleave)
VORTEX_INTERLEAVED(max_interleave, kMaxInterleave)
VORTEX_INTERLEAVED(min_interleave, kMinInterleave)
VORTEX_INTERLEAVED(l2norm_interleave, kL2NormInterleave)

VORTEX_LINE_FUNCTION(relu, kRelu)
VORTEX_LINE_FUNCTION(sigmoid, kSigmoid)
VORTEX_LINE_FUNCTION(silu, kSilu)
VORTEX_LINE_FUNCTION(add_mul, kAddMul)
VORTEX_LINE_FUNCTION(abs, kAbs)
VORTEX_LINE_FUNCTION(log, kLog)
VORTEX_LINE_FUNCTION(exp, kExp)

Tensor add(const Tensor& x, const Tensor& y, float alpha, float beta, SourceLocation at) {
  return binary(Op::kAdd, x, y, with_line(alpha, beta), at);
}

Tensor softmax(const Tensor& x, int dim, float scale, SourceLocation at) {
  Attributes attributes = with_dim(dim);
  attributes.scale = scale;
  return unary(Op::kSoftmax, x, attributes, at);
}

Tensor conv1d(const Tensor& x, const std::vector<float>& weight, int taps, SourceLocation at) {
  Attributes attributes = with_dim(0, taps);
  attributes.weight = weight;
  return unary(Op::kConv1d, x, attributes, at);
}

Tensor transpose(const Tensor& x, SourceLocation at) { return unary(Op::kTranspose, x, at); }
Tensor rotate(const Tensor& x, SourceLocation at) { return unary(Op::kRotate, x, at); }

Tensor reshape(const Tensor& x, int rows, int cols, SourceLocation at) {
  Attributes attributes;
  attributes.rows = rows;
  attributes.cols = cols;
  return unary(Op::kReshape, x, attributes, at);
}

Tensor project(const Tensor& x, const std::string& parameter, int rows, int cols, SourceLocation at) {
  Attributes attributes;
  attributes.parameter = parameter;
  attributes.rows = rows;
  attributes.cols = cols;
  return unary(Op::kProject, x, attributes, at);
}

Tensor mask_slice(const Tensor& x, int start, int end, int dim, float alpha, float beta, SourceLocation at) {
  Attributes attributes = with_line(alpha, beta);
  attributes.dim = dim;
  attributes.start = start;
  attributes.end = end;
  return unary(Op::kMaskSlice, x, attributes, at);
}

Tensor kron(const Tensor& x, const Tensor& y, const std::vector<int>& dims, SourceLocation at) {
  Attributes attributes;
  attributes.dims = axis_mask(dims);
  return binary(Op::kKron, x, y, attributes, at);
}

Score top_k(const Tensor& score, SourceLocation at) {
  return Tracer::of(score, Op::kTopK, at).output(Op::kTopK, {score}, {}, at);
}

Score approx_top_k(const Tensor& score, float tolerate_ratio, SourceLocation at) {
  Attributes attributes;
  attributes.tolerate_ratio = tolerate_ratio;
  return Tracer::of(score, Op::kApproxTopK, at).output(Op::kApproxTopK, {score}, attributes, at);
}

Score top_p(const Tensor& score, float mass, int at_least, int at_most, SourceLocation at) {
  Attributes attributes;
  attributes.mass = mass;
  attributes.at_least = at_least;
  attributes.at_most = at_most;
  return Tracer::of(score, Op::kTopP, at).output(Op::kTopP, {score}, attributes, at);
}

PageSet top_k(const Tensor& score, int k, SourceLocation at) {
  return Tracer::page_set(unary(Op::kTopKSet, score, with_dim(0, k), at));
}

Score unite(const PageSet& a, const PageSet& b, SourceLocation at) {
  const Tensor& first = Tracer::tensor_of(a);
  return Tracer::of(first, Op::kUnion, at).output(Op::kUnion, {first, Tracer::tensor_of(b)}, {}, at);
}

}  // namespace vortex

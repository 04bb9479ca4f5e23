#include "flow/backends/cpu/group_runner.h"

#include <algorithm>

#include "base/check.h"
#include "flow/backends/cpu/code_product.h"
#include "flow/backends/cpu/elements.h"

namespace vortex::flow {
namespace {

/// Inlined at once: g++ takes a function that only fetches for one without effect, and drops its calls.
[[gnu::always_inline]] inline void fetch(const std::byte* page, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(page + at);
}

/// Drops axes of size 1 and joins neighbours that both operands walk without a gap.
BroadcastLoop collapse(BroadcastLoop in) {
  BroadcastLoop out{{1, 1, 1}, {0, 0, 0}, {0, 0, 0}};
  int top = 3;
  for (int axis = 2; axis >= 0; --axis) {
    if (in.count[axis] == 1) continue;
    if (top < 3 && in.x[axis] == out.x[top] * out.count[top] && in.y[axis] == out.y[top] * out.count[top]) {
      out.count[top] *= in.count[axis];
      continue;
    }
    --top;
    out.count[top] = in.count[axis];
    out.x[top] = in.x[axis];
    out.y[top] = in.y[axis];
  }
  return out;
}

}  // namespace

GroupRunner::GroupRunner(const Plan& plan, const ProgramPlan& program, const GroupProgram& group,
                         const TileKernels& kernels, const PageView& view, Rows rows, ThreadScratch* scratch)
    : plan_(plan),
      program_plan_(program),
      program_(program.program),
      group_(group),
      kernels_(kernels),
      view_(view),
      rows_(rows),
      scratch_(scratch) {
  const auto floats = static_cast<size_t>(rows.count * (group.tile_floats + group.row_floats));
  if (scratch->workspace.size() < floats) scratch->workspace.resize(floats);
}

void GroupRunner::run_rows(bool publish_results) {
  tile_ = {nullptr, 1, 0, 0};
  for (row_ = 0; row_ < rows_.count; ++row_) {
    for (const Step& step : group_.row_steps) run_step(step);
    if (!publish_results) continue;
    for (ValueId v : group_.leaving)
      if (group_.place[static_cast<size_t>(v)] == Place::kOnce) publish(v, 0);
  }
}

/// Steps that read the pool take all rows together, in the order of memory.
void GroupRunner::run_tile(const TilePages& pages) {
  tile_ = pages;
  decode_fields();
  for (const Step& step : group_.page_steps) {
    const int count = runs_together(step) ? 1 : rows_.count;
    for (row_ = 0; row_ < count; ++row_) run_step(step);
  }
  for (ValueId v : group_.leaving)
    if (group_.place[static_cast<size_t>(v)] == Place::kTile)
      for (row_ = 0; row_ < rows_.count; ++row_) publish(v, tile_.first);
}

bool GroupRunner::runs_together(const Step& step) const {
  if (step.kind != StepKind::kOp) return true;
  return op_info(step.node->op).rule == TypeRule::kGemm &&
         group_.place[static_cast<size_t>(step.node->inputs[1])] == Place::kField;
}

float* GroupRunner::target(ValueId v) const {
  const auto index = static_cast<size_t>(v);
  return (group_.place[index] == Place::kOnce ? row_space() : tile_space()) + group_.offset[index];
}

GroupRunner::Operand GroupRunner::operand(ValueId v) const {
  const auto index = static_cast<size_t>(v);
  const bool once = type(v).format == Format::kBatched;
  const int64_t stride = once ? 0 : type(v).elements();
  if (group_.place[index] != Place::kOutside) return {target(v), stride};
  return {row().outside[index] + tile_.first * stride, stride};
}

void GroupRunner::decode_fields() {
  for (ValueId v : group_.decoded) {
    const int field = value_field(program_.side, v);
    const FieldView& stored = view_.fields[static_cast<size_t>(field)];
    const int64_t elements = type(v).elements();
    for (int t = 0; t < tile_.count; ++t) {
      for (row_ = 0; row_ < rows_.count; ++row_) {
        if (const int next = (t + 1) * rows_.count + row_; next < tile_.listed)
          fetch(stored.page(tile_.ids[next]), stored.page_bytes);
        load_page(kernels_, stored, page_of(field, t), target(v) + t * elements);
      }
    }
  }
}

void GroupRunner::run_step(const Step& step) {
  switch (step.kind) {
    case StepKind::kOp:
      return run_op(step);
    case StepKind::kSplitSigns:
      return split_signs(step);
    case StepKind::kBound:
      return run_bound(step);
    case StepKind::kRoundQuery:
      return round_query(step);
    case StepKind::kPackQuery:
      return pack(step);
    case StepKind::kCodeProduct:
      return run_code_product(step);
  }
}

void GroupRunner::run_op(const Step& step) {
  const Node& node = *step.node;
  switch (op_info(node.op).rule) {
    case TypeRule::kUnary: {
      if (node.op == Op::kRotate) return run_rotate(node);
      const int64_t n = tile_.count * type(node.output).elements();
      return kernels_.unary[static_cast<size_t>(node.op)](operand(node.inputs[0]).data, target(node.output), n,
                                                          node.attributes.alpha, node.attributes.beta);
    }
    case TypeRule::kBinary:
      return run_binary(node);
    case TypeRule::kGemm:
      return run_gemm(step);
    case TypeRule::kReduce:
    case TypeRule::kInterleave:
      return run_reduce(node);
    case TypeRule::kKron:
      return run_kron(node);
    case TypeRule::kTranspose:
      return run_transpose(node);
    case TypeRule::kMaskSlice:
      return run_mask(node);
    case TypeRule::kReshape:
    case TypeRule::kLoad:
      return run_copy(node);
    case TypeRule::kStore:
      return run_store(node);
    default:
      VORTEX_CHECK(false, "{} does not run in a group", op_info(node.op).name);
  }
}

void GroupRunner::run_binary(const Node& node) {
  const Type& out = type(node.output);
  BroadcastLoop loop{{tile_.count, out.rows, out.cols}, {}, {}};
  const auto strides = [&](ValueId v, int64_t* s) {
    const Type& t = type(v);
    s[0] = operand(v).stride;
    s[1] = t.rows == 1 ? 0 : t.cols;
    s[2] = t.cols == 1 ? 0 : 1;
  };
  strides(node.inputs[0], loop.x);
  strides(node.inputs[1], loop.y);
  kernels_.binary[static_cast<size_t>(node.op)](collapse(loop), operand(node.inputs[0]).data,
                                                operand(node.inputs[1]).data, target(node.output),
                                                node.attributes.alpha, node.attributes.beta);
}

/// Page t of the current row in a field: what the sequence saved, where it did.
const std::byte* GroupRunner::page_of(int field, int t) const {
  const FieldView& view = view_.fields[static_cast<size_t>(field)];
  const PageId id = tile_.ids[t * rows_.count + row_];
  const SequenceState::Layer* state = row().state;
  if (state == nullptr) return view.page(id);
  const int64_t page = tile_.first + t;
  const int slot = plan_.saved_slot(field - plan_.base_fields);
  if (slot < 0 || page >= state->saved_pages()) return view.page(id);
  return state->before(slot, row().head) + page * view.page_bytes;
}

/// The tile's list of pages in a field, kept in the scratch as number `which`.
const void* const* GroupRunner::pointers_of(int field, int which) {
  std::vector<const void*>& out = scratch_->pointers[which];
  if (out.size() < static_cast<size_t>(tile_.listed)) out.resize(static_cast<size_t>(tile_.listed));
  const FieldView view = view_.fields[static_cast<size_t>(field)];
  for (int i = 0; i < tile_.listed; ++i) out[static_cast<size_t>(i)] = view.page(tile_.ids[i]);
  if (plan_.saved_slot(field - plan_.base_fields) < 0) return out.data();
  for (row_ = 0; row_ < rows_.count; ++row_)
    for (int t = 0; t < tile_.count; ++t) out[static_cast<size_t>(t * rows_.count + row_)] = page_of(field, t);
  row_ = 0;
  return out.data();
}

StoredPages GroupRunner::stored_pages(int field, int64_t x_row_stride) {
  return {pointers_of(field, 0), tile_.count, rows_.count, tile_.listed, x_row_stride, group_.tile_floats};
}

/// From a value of one row to that of the next.
int64_t GroupRunner::row_stride(ValueId v) const {
  const auto index = static_cast<size_t>(v);
  if (rows_.count == 1) return 0;
  if (group_.place[index] != Place::kOutside) return group_.row_floats;
  return rows_.first[1].outside[index] - rows_.first[0].outside[index];
}

/// One row's pages as they were made in the tile.
StoredPages GroupRunner::made_pages(ValueId v) {
  std::vector<const void*>& out = scratch_->pointers[0];
  if (out.size() < static_cast<size_t>(tile_.count)) out.resize(static_cast<size_t>(tile_.count));
  const Operand pages = operand(v);
  for (int t = 0; t < tile_.count; ++t) out[static_cast<size_t>(t)] = pages.data + t * pages.stride;
  return {out.data(), tile_.count};
}

void GroupRunner::run_gemm(const Step& step) {
  const Node& node = *step.node;
  const ValueId x = node.inputs[0], y = node.inputs[1];
  const bool in_pool = group_.place[static_cast<size_t>(y)] == Place::kField;
  const int field = value_field(program_.side, y);
  const Element element = in_pool ? element_of(view_.fields[static_cast<size_t>(field)].dtype) : Element::kF32;
  const Operand query = step.scratch < 0 ? operand(x) : Operand{scratch_of(step), 0};
  const int64_t row_floats = step.scratch < 0 ? row_stride(x) : group_.row_floats;
  kernels_.gemm({in_pool ? stored_pages(field, row_floats) : made_pages(y), element, type(y).rows, query.data,
                 type(x).rows, query.stride, type(x).cols, target(node.output)});
}

void GroupRunner::run_reduce(const Node& node) {
  const Type& in = type(node.inputs[0]);
  const bool rows = node.attributes.dim == 1;
  const int64_t axis = rows ? in.rows : in.cols;
  const int64_t length = op_info(node.op).rule == TypeRule::kInterleave ? node.attributes.k : axis;
  const int64_t inner = rows ? in.cols : 1;
  const int64_t outer = tile_.count * in.elements() / (length * inner);
  kernels_.reduce(*reduction_of(node.op), operand(node.inputs[0]).data, target(node.output), outer, length, inner);
}

/// Row by row: a scalar of x times a row of y where the columns multiply, else plain broadcast.
void GroupRunner::run_kron(const Node& node) {
  const Type &out = type(node.output), &tx = type(node.inputs[0]), &ty = type(node.inputs[1]);
  const Operand x = operand(node.inputs[0]), y = operand(node.inputs[1]);
  const bool on_rows = (node.attributes.dims & 1) != 0, on_cols = (node.attributes.dims & 2) != 0;
  const auto multiply = kernels_.binary[static_cast<size_t>(Op::kMultiply)];
  const BroadcastLoop plain = {{1, 1, out.cols}, {0, 0, tx.cols == 1 ? 0 : 1}, {0, 0, ty.cols == 1 ? 0 : 1}};
  const BroadcastLoop outer = {{1, tx.cols, ty.cols}, {0, 1, 0}, {0, 0, 1}};
  float* to = target(node.output);
  for (int t = 0; t < tile_.count; ++t) {
    for (int i = 0; i < out.rows; ++i, to += out.cols) {
      const int xi = on_rows ? i / ty.rows : std::min(i, tx.rows - 1);
      const int yi = on_rows ? i % ty.rows : std::min(i, ty.rows - 1);
      multiply(on_cols ? outer : plain, x.data + t * x.stride + int64_t{xi} * tx.cols,
               y.data + t * y.stride + int64_t{yi} * ty.cols, to, 0, 0);
    }
  }
}

void GroupRunner::run_transpose(const Node& node) {
  const Type& in = type(node.inputs[0]);
  const float* from = operand(node.inputs[0]).data;
  float* to = target(node.output);
  for (int t = 0; t < tile_.count; ++t, from += in.elements())
    for (int j = 0; j < in.cols; ++j)
      for (int i = 0; i < in.rows; ++i) *to++ = from[int64_t{i} * in.cols + j];
}

void GroupRunner::run_mask(const Node& node) {
  const Attributes& a = node.attributes;
  const Type& out = type(node.output);
  float* to = target(node.output);
  for (int t = 0; t < tile_.count; ++t)
    for (int i = 0; i < out.rows; ++i)
      for (int j = 0; j < out.cols; ++j) {
        const int index = a.dim == 1 ? i : j;
        *to++ = a.start <= index && index < a.end ? a.alpha : a.beta;
      }
}

void GroupRunner::run_rotate(const Node& node) {
  run_copy(node);
  const Type& out = type(node.output);
  kernels_.rotate(group_.rotation_signs.data(), target(node.output), int64_t{tile_.count} * out.rows, out.cols);
}

void GroupRunner::run_copy(const Node& node) {
  const auto n = static_cast<size_t>(tile_.count * type(node.output).elements());
  std::copy_n(operand(node.inputs[0]).data, n, target(node.output));
}

void GroupRunner::run_store(const Node& node) {
  const int declared = node.attributes.field;
  const FieldView& field = view_.fields[static_cast<size_t>(plan_.base_fields + declared)];
  const auto n = static_cast<size_t>(field.rows) * static_cast<size_t>(field.cols);
  std::vector<float>& constant = scratch_->column;
  if (node.inputs.empty()) constant.assign(n, node.attributes.alpha);
  const Operand value = node.inputs.empty() ? Operand{constant.data(), 0} : operand(node.inputs[0]);
  for (int t = 0; t < tile_.count; ++t) {
    std::byte* page = field.page(tile_.ids[t * rows_.count + row_]);
    if (node.op == Op::kSave)
      page = row().state->after(plan_.saved_slot(declared), row().head) + (tile_.first + t) * field.page_bytes;
    store_page(kernels_, field, value.data + t * value.stride, page);
  }
}

void GroupRunner::split_signs(const Step& step) {
  const int64_t n = type(step.x).elements();
  const float* x = operand(step.x).data;
  float* positive = scratch_of(step);
  for (int64_t i = 0; i < n; ++i) {
    positive[i] = x[i] < 0 ? 0.0f : x[i];  // NaN stays in both parts
    positive[n + i] = x[i] > 0 ? 0.0f : x[i];
  }
}

void GroupRunner::run_bound(const Step& step) {
  const Type& x = type(step.x);
  const float* positive = scratch_of(step);
  const DType dtype = view_.fields[static_cast<size_t>(step.high)].dtype;
  kernels_.bound({stored_pages(step.high, group_.row_floats), pointers_of(step.low, 1), element_of(dtype), positive,
                  positive + x.elements(), x.rows, x.cols, target(step.output)});
}

void GroupRunner::round_query(const Step& step) {
  const Type& t = type(step.x);
  const float* x = operand(step.x).data;
  float* out = scratch_of(step);
  std::vector<int8_t>& codes = scratch_->codes;
  codes.resize(static_cast<size_t>(t.cols));
  for (int i = 0; i < t.rows; ++i, x += t.cols) {
    const float step_size = round_query_row(x, t.cols, codes.data());
    for (int8_t code : codes) *out++ = step_size * static_cast<float>(code);
  }
}

CodeLayout GroupRunner::layout_of(const Step& step) const {
  const FieldView& field = view_.fields[static_cast<size_t>(step.high)];
  return {field.dtype, field.rows, field.cols};
}

void GroupRunner::pack(const Step& step) {
  const CodeLayout layout = layout_of(step);
  const int group = type(step.x).rows;
  pack_query(layout, group, operand(step.x).data, packed_query(layout, group, scratch_of(step)));
}

void GroupRunner::run_code_product(const Step& step) {
  const CodeLayout layout = layout_of(step);
  const int group = type(step.x).rows;
  const PackedQuery query = packed_query(layout, group, scratch_of(step));
  float* sums = tile_space() + group_.scratch[static_cast<size_t>(step.scratch)].tile_offset;
  kernels_.code_product({stored_pages(step.high, group_.row_floats), layout.bits(), layout.rows(),
                         layout.padded_cols() / layout.chunk_cols(), layout.step_offset(), query.rows, query.scale,
                         query.bias, group, step.alpha, step.beta, step.reduction, target(step.output), sums});
}

void GroupRunner::publish(ValueId v, int64_t first) {
  const int64_t elements = type(v).elements();
  round_floats(kernels_, plan_.dtype, target(v), row().outside[static_cast<size_t>(v)] + first * elements,
               tile_.count * elements);
}

}  // namespace vortex::flow

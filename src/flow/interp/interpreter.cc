#include "flow/interp/interpreter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "base/check.h"
#include "flow/interp/choose.h"
#include "flow/interp/operators.h"
#include "flow/plan/saved_state.h"
#include "tensor/codes.h"
#include "tensor/float8.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex::flow {
namespace {

using interp::Array;
using interp::Range;

float round_to(DType dtype, float x) {
  switch (dtype) {
    case DType::kBF16:
      return round_to_bf16(x);
    case DType::kF16:
      return f16_to_f32(f32_to_f16(x));
    case DType::kF8E4M3:
      return f8e4m3_to_f32(f32_to_f8e4m3(x));
    case DType::kF8E5M2:
      return f8e5m2_to_f32(f32_to_f8e5m2(x));
    default:
      return x;
  }
}

void store_number(DType dtype, float x, std::byte* out) {
  if (dtype == DType::kF8E4M3 || dtype == DType::kF8E5M2) {
    *out = static_cast<std::byte>(dtype == DType::kF8E4M3 ? f32_to_f8e4m3(x) : f32_to_f8e5m2(x));
    return;
  }
  if (dtype == DType::kF32) {
    std::memcpy(out, &x, sizeof(x));
    return;
  }
  const uint16_t half = dtype == DType::kBF16 ? f32_to_bf16(x) : f32_to_f16(x);
  std::memcpy(out, &half, sizeof(half));
}

void store_page(const FieldView& field, const float* values, std::byte* page) {
  if (code_bits(field.dtype) > 0) return encode_page(CodeLayout(field.dtype, field.rows, field.cols), values, page);
  const int64_t bytes = dtype_bytes(field.dtype, 1);
  for (int64_t i = 0; i < int64_t{field.rows} * field.cols; ++i) store_number(field.dtype, values[i], page + i * bytes);
}

void load_page(const FieldView& field, const std::byte* page, float* out) {
  const int64_t count = int64_t{field.rows} * field.cols;
  if (code_bits(field.dtype) > 0) return decode_page(CodeLayout(field.dtype, field.rows, field.cols), page, out);
  if (field.dtype != DType::kF8E4M3 && field.dtype != DType::kF8E5M2) return dequantize(field.dtype, page, out, count);
  const auto decode = field.dtype == DType::kF8E4M3 ? f8e4m3_to_f32 : f8e5m2_to_f32;
  for (int64_t i = 0; i < count; ++i) out[i] = decode(std::to_integer<uint8_t>(page[i]));
}

/// Each row rounded to 8 bits, as a product with codes reads it.
Array round_query(const Array& x) {
  Array out = x;
  std::vector<int8_t> codes(static_cast<size_t>(x.cols));
  for (int i = 0; i < x.rows; ++i) {
    const float step = round_query_row(&out.at(0, i, 0), x.cols, codes.data());
    for (int j = 0; j < x.cols; ++j) out.at(0, i, j) = step * static_cast<float>(codes[static_cast<size_t>(j)]);
  }
  return out;
}

/// What a sequence keeps of saved fields, for one row.
struct RowState {
  SequenceState::Layer* layer = nullptr;
  int head = 0;
};

/// One program over some pages of one row (indexer) or one page (cache).
class Run {
 public:
  Run(const Plan& plan, const ProgramPlan& program, const PageView& view, std::vector<PageId> pages, Range middle,
      RowState state)
      : plan_(plan),
        program_(program.program),
        leaves_(program.leaves),
        view_(view),
        pages_(std::move(pages)),
        middle_(middle),
        state_(state),
        group_(group_of_nodes(program_)),
        exact_(program_.values.size()),
        rounded_(program_.values.size()) {}

  void set_query(const float* q) {
    const GraphShape& shape = plan_.graph.shape;
    Array query(1, shape.group, shape.head_dim);
    std::copy_n(q, query.data.size(), query.data.begin());
    exact_[kQueryValue] = std::move(query);
  }

  void execute() {
    for (const auto& group : program_.groups)
      for (NodeId n : group) execute_node(n);
  }

  /// A value as it is read outside its group.
  const Array& result(ValueId v) const { return rounded_[static_cast<size_t>(v)]; }

 private:
  void execute_node(NodeId id) {
    const Node& node = program_.node(id);
    if (op_info(node.op).rule == TypeRule::kStore) return store(node, id);
    // Outputs are read by the caller.
    if (node.output == kNoValue || program_.type(node.output).format == Format::kPages) return;
    std::vector<const Array*> inputs;
    for (ValueId v : node.inputs) inputs.push_back(&read(v, id));
    Array query;
    if (plan_.rounds_query(program_, node)) {
      query = round_query(*inputs[0]);
      inputs[0] = &query;
    }
    const bool one_page = program_.side == kCache || program_.type(node.output).format == Format::kBatched;
    const int pages = one_page ? 1 : static_cast<int>(pages_.size());
    const auto out = static_cast<size_t>(node.output);
    const Attributes& a = node.attributes;
    exact_[out] = node.op == Op::kProject
                      ? interp::project(*inputs[0], a.rows, a.cols, plan_.weights(node, view_.layer))
                      : interp::evaluate(node, inputs, pages, middle_);
    if (!leaves_[out]) return;
    rounded_[out] = exact_[out];
    for (float& x : rounded_[out].data) x = round_to(plan_.dtype, x);
  }

  /// Inside its group a value is exact, outside it is rounded.
  const Array& read(ValueId v, NodeId reader) {
    const auto index = static_cast<size_t>(v);
    const NodeId producer = program_.values[index].producer;
    if (producer < 0) {
      if (exact_[index].data.empty()) exact_[index] = read_field(value_field(program_.side, v));
      return exact_[index];
    }
    const bool outside = group_[static_cast<size_t>(producer)] != group_[static_cast<size_t>(reader)];
    return outside ? rounded_[index] : exact_[index];
  }

  Array read_field(int field) const {
    const FieldView& memory = view_.fields[static_cast<size_t>(field)];
    Array out(static_cast<int>(pages_.size()), memory.rows, memory.cols);
    for (size_t s = 0; s < pages_.size(); ++s) load_page(memory, page_of(field, s), &out.at(static_cast<int>(s), 0, 0));
    return out;
  }

  /// A page of a field: what the sequence saved, where it did.
  const std::byte* page_of(int field, size_t s) const {
    const FieldView& memory = view_.fields[static_cast<size_t>(field)];
    const int slot = plan_.saved_slot(field - plan_.base_fields);
    if (program_.side == kCache || slot < 0 || static_cast<int64_t>(s) >= state_.layer->saved_pages())
      return memory.page(pages_[s]);
    return state_.layer->before(slot, state_.head) + static_cast<int64_t>(s) * memory.page_bytes;
  }

  void store(const Node& node, NodeId id) {
    const FieldView& memory = view_.fields[static_cast<size_t>(plan_.base_fields + node.attributes.field)];
    const auto count = static_cast<size_t>(memory.rows) * static_cast<size_t>(memory.cols);
    const Array* value = node.inputs.empty() ? nullptr : &read(node.inputs[0], id);
    const std::vector<float> constant(count, node.attributes.alpha);
    for (size_t s = 0; s < pages_.size(); ++s) {
      std::byte* page = memory.page(pages_[s]);
      if (node.op == Op::kSave)
        page = state_.layer->after(plan_.saved_slot(node.attributes.field), state_.head) +
               static_cast<int64_t>(s) * memory.page_bytes;
      store_page(memory, value ? value->data.data() + s * count : constant.data(), page);
    }
  }

  const Plan& plan_;
  const Program& program_;
  const std::vector<bool>& leaves_;
  const PageView& view_;
  std::vector<PageId> pages_;
  Range middle_;
  RowState state_;
  std::vector<int> group_;
  std::vector<Array> exact_, rounded_;
};

class Interpreter : public Backend {
 public:
  explicit Interpreter(const Plan& plan) : plan_(plan) {}

  void update(const PageView& view, std::span<const PageId> pages) override {
    for (PageId page : pages) Run(plan_, plan_.cache, view, {page}, {}, {}).execute();
  }

  void select(const PageView& view, const StepPlan& step, const float* q, PageList* list,
              std::vector<int>* nan_rows) override {
    for (int row = 0; row < step.rows(); ++row) {
      const SequencePlan& sequence = step.sequences[static_cast<size_t>(row / step.kv_heads)];
      if (!sequence.sparse()) continue;
      const Range middle{step.reserved_bos, sequence.pages - step.reserved_eos};
      const Run run = run_row(view, step, row, q);
      const int k = sequence.selected - step.reserved_bos - step.reserved_eos;
      PageId* slot = list->pages.data() + list->offsets[static_cast<size_t>(row)] + step.reserved_bos;
      for (int j : choose(run, middle, k)) *slot++ = view.page_id(sequence.table, j, row % step.kv_heads);
      if (has_nan(run, middle)) nan_rows->push_back(row);
    }
    keep_saved(view, step);
  }

  std::vector<float> scores(const PageView& view, const StepPlan& step, int row, const float* q) override {
    return run_row(view, step, row, q).result(plan_.scores().front()).data;
  }

 private:
  Run run_row(const PageView& view, const StepPlan& step, int row, const float* q) const {
    const SequencePlan& sequence = step.sequences[static_cast<size_t>(row / step.kv_heads)];
    const int computed = sequence.pages - step.reserved_eos, head = row % step.kv_heads;
    std::vector<PageId> pages;
    for (int j = 0; j < computed; ++j) pages.push_back(view.page_id(sequence.table, j, head));
    RowState state{nullptr, head};
    if (plan_.saves()) state.layer = prepare_saved(plan_, view, step, sequence);
    Run run(plan_, plan_.indexer, view, std::move(pages), {step.reserved_bos, computed}, state);
    const GraphShape& shape = plan_.graph.shape;
    run.set_query(q + static_cast<int64_t>(row) * shape.group * shape.head_dim);
    run.execute();
    return run;
  }

  std::vector<int> choose(const Run& run, Range middle, int k) const {
    const Node& output = plan_.output();
    if (output.op == Op::kUnion) return unite(run, middle);
    const std::vector<float>& scores = run.result(output.inputs[0]).data;
    std::vector<int> ranked = interp::rank_pages(scores, middle);
    if (output.op == Op::kApproxTopK) return interp::approximate(ranked, scores, k, output.attributes.tolerate_ratio);
    if (output.op == Op::kTopP)
      k = std::clamp(interp::count_for_mass(ranked, scores, output.attributes.mass),
                     std::min(output.attributes.at_least, k), k);
    ranked.resize(static_cast<size_t>(k));
    return ranked;
  }

  std::vector<int> unite(const Run& run, Range middle) const {
    std::set<int> pages;
    for (ValueId set : plan_.output().inputs) {
      const Program& program = plan_.indexer.program;
      const Node& top = program.node(program.values[static_cast<size_t>(set)].producer);
      const std::vector<int> ranked = interp::rank_pages(run.result(top.inputs[0]).data, middle);
      const auto count = std::min(ranked.size(), static_cast<size_t>(top.attributes.k));
      pages.insert(ranked.begin(), ranked.begin() + static_cast<int64_t>(count));
    }
    return {pages.begin(), pages.end()};
  }

  bool has_nan(const Run& run, Range middle) const {
    for (ValueId v : plan_.scores()) {
      const auto begin = run.result(v).data.begin();
      if (std::any_of(begin + middle.begin, begin + middle.end, [](float x) { return std::isnan(x); })) return true;
    }
    return false;
  }

  void keep_saved(const PageView& view, const StepPlan& step) const {
    for (const SequencePlan& sequence : step.sequences)
      if (plan_.saves() && sequence.sparse())
        sequence.state->layer(view.layer).finish(sequence.pages - step.reserved_eos);
  }

  const Plan& plan_;
};

}  // namespace

std::unique_ptr<Backend> make_interpreter(const Plan& plan) { return std::make_unique<Interpreter>(plan); }

}  // namespace vortex::flow

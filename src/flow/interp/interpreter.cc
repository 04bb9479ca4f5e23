#include "flow/interp/interpreter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "flow/interp/operators.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex::flow {
namespace {

using interp::Array;
using interp::Range;

float round_to(DType dtype, float x) {
  if (dtype == DType::kBF16) return round_to_bf16(x);
  if (dtype == DType::kF16) return f16_to_f32(f32_to_f16(x));
  return x;
}

void store_number(DType dtype, float x, std::byte* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, &x, sizeof(x));
    return;
  }
  const uint16_t half = dtype == DType::kBF16 ? f32_to_bf16(x) : f32_to_f16(x);
  std::memcpy(out, &half, sizeof(half));
}

/// One program over some pages of one row (indexer) or one page (cache).
class Run {
 public:
  Run(const Plan& plan, const ProgramPlan& program, const PageView& view, std::vector<PageId> pages, Range middle)
      : plan_(plan),
        program_(program.program),
        leaves_(program.leaves),
        view_(view),
        pages_(std::move(pages)),
        middle_(middle),
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

  /// What the node reads as its first input.
  const Array& input(const Node& node, NodeId id) { return read(node.inputs[0], id); }

 private:
  void execute_node(NodeId id) {
    const Node& node = program_.node(id);
    if (op_info(node.op).rule == TypeRule::kStore) return store(node, id);
    if (node.output == kNoValue) return;  // outputs are read by the caller
    std::vector<const Array*> inputs;
    for (ValueId v : node.inputs) inputs.push_back(&read(v, id));
    const bool one_page = program_.side == kCache || program_.type(node.output).format == Format::kBatched;
    const int pages = one_page ? 1 : static_cast<int>(pages_.size());
    const auto out = static_cast<size_t>(node.output);
    exact_[out] = interp::evaluate(node, inputs, pages, middle_);
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
    const int64_t count = int64_t{memory.rows} * memory.cols;
    for (size_t s = 0; s < pages_.size(); ++s)
      dequantize(memory.dtype, memory.page(pages_[s]), out.data.data() + s * static_cast<size_t>(count), count);
    return out;
  }

  void store(const Node& node, NodeId id) {
    const FieldView& memory = view_.fields[static_cast<size_t>(plan_.base_fields + node.attributes.field)];
    const int64_t count = int64_t{memory.rows} * memory.cols, bytes = dtype_bytes(memory.dtype, 1);
    const Array* value = node.inputs.empty() ? nullptr : &read(node.inputs[0], id);
    for (size_t s = 0; s < pages_.size(); ++s) {
      for (int64_t i = 0; i < count; ++i) {
        const float x =
            value ? value->data[s * static_cast<size_t>(count) + static_cast<size_t>(i)] : node.attributes.alpha;
        store_number(memory.dtype, x, memory.page(pages_[s]) + i * bytes);
      }
    }
  }

  const Plan& plan_;
  const Program& program_;
  const std::vector<bool>& leaves_;
  const PageView& view_;
  std::vector<PageId> pages_;
  Range middle_;
  std::vector<int> group_;
  std::vector<Array> exact_, rounded_;
};

/// The best k of the middle: higher first, ties to the lower page, NaN below every number. Ascending pages.
std::vector<int> best_pages(const std::vector<float>& scores, Range middle, int k) {
  std::vector<int> order(static_cast<size_t>(middle.end - middle.begin));
  std::iota(order.begin(), order.end(), middle.begin);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    if (std::isnan(x) || std::isnan(y)) return !std::isnan(x) && std::isnan(y);
    return x > y;
  });
  order.resize(static_cast<size_t>(k));
  std::sort(order.begin(), order.end());
  return order;
}

class Interpreter : public Backend {
 public:
  explicit Interpreter(const Plan& plan) : plan_(plan) {}

  void update(const PageView& view, std::span<const PageId> pages) override {
    for (PageId page : pages) Run(plan_, plan_.cache, view, {page}, {}).execute();
  }

  void select(const PageView& view, const StepPlan& step, const float* q, PageList* list,
              std::vector<int>* nan_rows) override {
    for (int row = 0; row < step.rows(); ++row) {
      const SequencePlan& sequence = step.sequences[static_cast<size_t>(row / step.kv_heads)];
      if (!sequence.sparse()) continue;
      const Range middle{step.reserved_bos, sequence.pages - step.reserved_eos};
      const std::vector<float> score = scores(view, step, row, q);
      const int k = sequence.selected - step.reserved_bos - step.reserved_eos;
      PageId* slot = list->pages.data() + list->offsets[static_cast<size_t>(row)] + step.reserved_bos;
      for (int j : best_pages(score, middle, k)) *slot++ = view.page_id(sequence.table, j, row % step.kv_heads);
      if (std::any_of(score.begin() + middle.begin, score.begin() + middle.end, [](float x) { return std::isnan(x); }))
        nan_rows->push_back(row);
    }
  }

  std::vector<float> scores(const PageView& view, const StepPlan& step, int row, const float* q) override {
    const SequencePlan& sequence = step.sequences[static_cast<size_t>(row / step.kv_heads)];
    const int computed = sequence.pages - step.reserved_eos;
    std::vector<PageId> pages;
    for (int j = 0; j < computed; ++j) pages.push_back(view.page_id(sequence.table, j, row % step.kv_heads));
    Run run(plan_, plan_.indexer, view, std::move(pages), {step.reserved_bos, computed});
    const GraphShape& shape = plan_.graph.shape;
    run.set_query(q + static_cast<int64_t>(row) * shape.group * shape.head_dim);
    run.execute();
    const Node& output = plan_.output();
    return run.input(output, static_cast<NodeId>(&output - plan_.indexer.program.nodes.data())).data;
  }

 private:
  const Plan& plan_;
};

}  // namespace

std::unique_ptr<Backend> make_interpreter(const Plan& plan) { return std::make_unique<Interpreter>(plan); }

}  // namespace vortex::flow

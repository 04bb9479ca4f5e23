#include "random_graph.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/check.h"
#include "flow/ir/builder.h"

namespace vortex::flow {
namespace {

class Generator {
 public:
  Generator(const GraphShape& shape, uint32_t seed) : shape_(shape), random_(seed) {
    for (int f = 0; f < pick(1, 3); ++f) fields_.push_back(random_field(f));
    auto started = GraphBuilder::start(fmt::format("random_{}", seed), shape, fields_);
    VORTEX_CHECK(started.ok(), "{}", started.error().to_string());
    builder_ = std::make_unique<GraphBuilder>(std::move(*started));
  }

  Graph make() {
    for (size_t f = 0; f < fields_.size(); ++f) write_field(static_cast<int>(f));
    values_.clear();
    exact_.clear();
    for (ValueId v = 0; v < input_count(builder_->graph(), kIndexer); ++v)
      if (v == kQueryValue || value_field(kIndexer, v) >= builder_->graph().base_fields()) values_.push_back(v);
    exact_ = values_;
    for (int i = pick(2, 10); i > 0; --i) grow(kIndexer);
    finish_score();
    auto graph = std::move(*builder_).finish();
    VORTEX_CHECK(graph.ok(), "{}", graph.error().to_string());
    return std::move(*graph);
  }

 private:
  /// A row or a few of numbers, or all tokens of a page (what codes are for).
  FieldDecl random_field(int index) {
    constexpr Storage kStorages[] = {Storage::kF32,  Storage::kBF16, Storage::kF16,  Storage::kF8E4M3, Storage::kF8E5M2,
                                     Storage::kInt8, Storage::kInt4, Storage::kInt2, Storage::kInt1};
    const bool tokens = pick(0, 2) == 0;
    const int rows = tokens ? shape_.page_tokens : 1 << (pick(0, 1) * pick(0, 2));
    const int cols = tokens || pick(0, 2) != 0 ? shape_.head_dim : 1;
    const Storage storage = pick(0, 1) == 0 ? Storage::kFlow : kStorages[pick(0, 8)];
    return {fmt::format("f{}", index), rows, cols, storage};
  }

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  float number() { return std::uniform_real_distribution<float>(-1.5f, 1.5f)(random_); }
  const Type& type(Side side, ValueId v) const {
    return (side == kCache ? builder_->graph().cache : builder_->graph().indexer).type(v);
  }

  /// A value from the page's tokens, shaped to the field by reductions, masks of its shape and broadcasts.
  void write_field(int f) {
    values_.clear();
    for (int base = 0; base < builder_->graph().base_fields(); ++base) values_.push_back(field_value(kCache, base));
    exact_ = values_;
    for (int i = pick(0, 3); i > 0; --i) grow(kCache);
    const FieldDecl& field = fields_[static_cast<size_t>(f)];
    ValueId v = values_[static_cast<size_t>(pick(0, static_cast<int>(values_.size()) - 1))];
    Attributes attributes;
    attributes.field = f;
    if (type(kCache, v).rows == field.rows && type(kCache, v).cols == field.cols) {
      must_add(kCache, Op::kWrite, {v}, attributes);
      return;
    }
    if (type(kCache, v).rows != 1) v = reduce(kCache, v, 1);
    if (type(kCache, v).cols != 1 && type(kCache, v).cols != field.cols) v = reduce(kCache, v, 2);
    if (field.rows != 1 || type(kCache, v).cols != field.cols) v = spread(v, field);
    must_add(kCache, Op::kWrite, {v}, attributes);
  }

  /// [1, c] to the field's shape: added to a zero mask of part of k, reshaped where the sizes ask for it.
  ValueId spread(ValueId v, const FieldDecl& field) {
    const Type k = type(kCache, field_value(kCache, 0));
    VORTEX_CHECK(field.rows <= k.rows, "field of {} rows", field.rows);
    Attributes zero;
    zero.dim = 1;
    zero.alpha = 0;
    ValueId mask = must_add(kCache, Op::kMaskSlice, {field_value(kCache, 0)}, zero);
    Attributes group;
    group.dim = 1;
    group.k = k.rows / field.rows;
    mask = must_add(kCache, Op::kMaxInterleave, {mask}, group);
    if (field.cols == 1) mask = reduce(kCache, mask, 2);
    return must_add(kCache, Op::kAdd, {v, mask}, default_attributes(Op::kAdd));
  }

  ValueId reduce(Side side, ValueId v, int dim) {
    constexpr Op kOps[] = {Op::kMean, Op::kMax, Op::kMin, Op::kL2Norm};
    Attributes attributes;
    attributes.dim = dim;
    return must_add(side, kOps[pick(0, 3)], {v}, attributes);
  }

  ValueId must_add(Side side, Op op, std::vector<ValueId> inputs, const Attributes& attributes) {
    auto made = builder_->add(side, op, std::move(inputs), attributes, "random");
    VORTEX_CHECK(made.ok(), "{}", made.error().to_string());
    return *made;
  }

  /// Results that both backends compute to the bit from such inputs.
  static bool keeps_exact(const Op op) {
    const OpInfo& info = op_info(op);
    constexpr Op kExact[] = {Op::kMax,    Op::kMin,  Op::kMaxInterleave, Op::kMinInterleave, Op::kMultiply,
                             Op::kAdd,    Op::kAbs,  Op::kAddMul,        Op::kMaximum,       Op::kMinimum,
                             Op::kRelu,   Op::kLoad, Op::kReshape,       Op::kTranspose,     Op::kMaskSlice,
                             Op::kRotate, Op::kKron};
    return info.name.starts_with("Where") || std::find(std::begin(kExact), std::end(kExact), op) != std::end(kExact);
  }

  /// Jumps (a rounding apart is another result) and functions that grow fast are applied to exact inputs only.
  static bool needs_exact(Op op) {
    return op_info(op).name.starts_with("Where") || op == Op::kRelu || op == Op::kExp || op == Op::kLog ||
           op == Op::kSigmoid || op == Op::kSilu;
  }

  /// 1 where the comparison holds, else 0: squares of -1e30 overflow in one backend and not in the other.
  ValueId scale_mask(Side side, ValueId mask) {
    Attributes a;
    a.alpha = 1;
    a.beta = 1e-30f;
    return must_add(side, Op::kAddMul, {mask}, a);
  }

  bool is_exact(ValueId v) const { return std::find(exact_.begin(), exact_.end(), v) != exact_.end(); }

  /// Tries ops at random until one fits.
  void grow(Side side) {
    for (int attempt = 0; attempt < 50; ++attempt) {
      const Op op = static_cast<Op>(pick(0, kOpCount - 1));
      const OpInfo& info = op_info(op);
      if (info.arity == 0 || info.rule == TypeRule::kStore || info.rule >= TypeRule::kOutput) continue;
      const std::vector<ValueId>& choices = needs_exact(op) ? exact_ : values_;
      std::vector<ValueId> inputs;
      for (int i = 0; i < info.arity; ++i)
        inputs.push_back(choices[static_cast<size_t>(pick(0, static_cast<int>(choices.size()) - 1))]);
      auto added = builder_->add(side, op, inputs, random_attributes(side, op, inputs[0]), "random");
      if (!added.ok()) continue;
      const ValueId made = info.name.starts_with("Where") ? scale_mask(side, *added) : *added;
      const auto exact = [&](ValueId v) { return is_exact(v); };
      if (keeps_exact(op) && std::all_of(inputs.begin(), inputs.end(), exact)) exact_.push_back(made);
      if (type(side, made).elements() > 1 << 12) continue;
      values_.push_back(made);
      return;
    }
  }

  Attributes random_attributes(Side side, Op op, ValueId input) {
    const Type& t = type(side, input);
    Attributes a = default_attributes(op);
    a.dim = pick(0, 2);
    a.k = pick(1, 4);
    a.start = pick(0, 2);
    a.end = a.start + pick(0, 8);
    a.rows = t.cols;
    a.cols = t.rows;
    a.dims = pick(1, 3);
    a.parameter = fmt::format("w{}", t.elements());
    a.alpha = number();
    a.beta = number();
    a.scale = number();
    if (op == Op::kLog) a.alpha = 20.0f + a.alpha;  // of positive numbers
    if (has_attribute(op, kWeight))
      for (int64_t i = 0; i < a.k * t.elements(); ++i) a.weight.push_back(number());
    return a;
  }

  /// Ends in any of the outputs; now and then the score is also saved and loaded.
  void finish_score() {
    ValueId v = score();
    const int field = pick(0, static_cast<int>(fields_.size()) - 1);
    const FieldDecl& saved = fields_[static_cast<size_t>(field)];
    if (saved.rows == 1 && saved.cols == 1 && pick(0, 1) == 0) {
      const ValueId old =
          must_add(kIndexer, Op::kLoad, {field_value(kIndexer, builder_->graph().base_fields() + field)}, {});
      v = must_add(kIndexer, Op::kAdd, {v, old}, default_attributes(Op::kAdd));
      Attributes attributes;
      attributes.field = field;
      must_add(kIndexer, Op::kSave, {v}, attributes);
    }
    Attributes a;
    a.tolerate_ratio = 0.25f * static_cast<float>(pick(0, 4));
    a.mass = 0.25f * static_cast<float>(pick(1, 4));
    a.at_least = pick(0, 3);
    a.at_most = pick(0, 1) * 5;
    a.k = pick(1, 4);
    const int output = pick(0, 6);
    if (output > 2) return static_cast<void>(must_add(kIndexer, Op::kTopK, {v}, {}));
    if (output == 2) return static_cast<void>(must_add(kIndexer, Op::kApproxTopK, {v}, a));
    if (output == 1) return static_cast<void>(must_add(kIndexer, Op::kTopP, {v}, a));
    const ValueId first = must_add(kIndexer, Op::kTopKSet, {v}, a);
    const ValueId second = must_add(kIndexer, Op::kTopKSet, {score()}, a);
    must_add(kIndexer, Op::kUnion, {first, second}, {});
  }

  /// The newest value with pages, reduced to one number a page.
  ValueId score() {
    ValueId v = kNoValue;
    for (ValueId candidate : values_)
      if (type(kIndexer, candidate).format == Format::kRagged) v = candidate;
    if (v == kNoValue) v = must_add(kIndexer, Op::kLoad, {values_[1]}, {});
    for (int dim : {2, 1})
      if ((dim == 1 ? type(kIndexer, v).rows : type(kIndexer, v).cols) != 1) v = reduce(kIndexer, v, dim);
    return v;
  }

  GraphShape shape_;
  std::mt19937 random_;
  std::vector<FieldDecl> fields_;
  std::unique_ptr<GraphBuilder> builder_;
  std::vector<ValueId> values_, exact_;
};

}  // namespace

Parameters random_parameters(const Graph& graph, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Parameters out;
  for (const Node& node : graph.indexer.nodes) {
    if (node.op != Op::kProject) continue;
    auto parameter = std::make_shared<Parameter>();
    parameter->name = node.attributes.parameter;
    parameter->rows = graph.indexer.type(node.output).elements();
    parameter->cols = graph.indexer.type(node.inputs[0]).elements();
    std::vector<uint16_t>& weights = parameter->layers.emplace_back();
    const float size = 1 / std::sqrt(static_cast<float>(parameter->cols));
    for (int64_t i = 0; i < parameter->rows * parameter->cols; ++i)
      weights.push_back(f32_to_bf16(size * normal(random)));
    out.push_back(std::move(parameter));
  }
  return out;
}

Graph random_graph(const GraphShape& shape, uint32_t seed) { return Generator(shape, seed).make(); }

}  // namespace vortex::flow

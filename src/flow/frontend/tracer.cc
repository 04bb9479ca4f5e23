#include "flow/frontend/tracer.h"

#include <fmt/core.h>

#include "base/nearest_name.h"

namespace vortex::flow {
namespace {

std::string place(const SourceLocation& at) { return fmt::format("{}:{}:{}", at.file_name(), at.line(), at.column()); }

[[noreturn]] void fail(const SourceLocation& at, std::string message, std::string hint = {}) {
  throw TraceFault{{ErrorCode::kInvalidArgument, place(at), std::move(message), std::move(hint)}};
}

}  // namespace

Graph Tracer::record(FlowBase& flow) {
  CacheScope cache(this);
  flow.forward_cache(cache);
  side_ = kIndexer;
  IndexerScope indexer(this);
  const Score score = flow.forward_indexer(tensor(kQueryValue), indexer);
  if (outputs_ > 0 && (score.tracer_ != this || score.output_ != outputs_ - 1))
    throw TraceFault{{ErrorCode::kInvalidArgument, builder_.graph().name,
                      "forward_indexer must return what its output operator returned", "return top_k(score)"}};
  auto graph = std::move(builder_).finish();
  if (!graph.ok()) throw TraceFault{graph.error()};
  return std::move(graph).value();
}

Tensor Tracer::apply(Op op, std::initializer_list<Tensor> inputs, const Attributes& attributes,
                     const SourceLocation& at) {
  std::vector<ValueId> values;
  for (const Tensor& input : inputs) values.push_back(value_of(input, op, at));
  auto made = builder_.add(side_, op, std::move(values), attributes, place(at));
  if (!made.ok()) throw TraceFault{made.error()};
  return tensor(*made);
}

Score Tracer::output(Op op, std::initializer_list<Tensor> inputs, const Attributes& attributes,
                     const SourceLocation& at) {
  apply(op, inputs, attributes, at);
  Score score;
  score.tracer_ = this;
  score.output_ = outputs_++;
  return score;
}

Tensor Tracer::read(const FieldName& field) { return tensor(field_value(side_, find_field(field))); }

void Tracer::store(Op op, std::initializer_list<Tensor> inputs, const FieldName& field, float alpha) {
  const int index = find_field(field);
  const int base = builder_.graph().base_fields();
  if (index < base) fail(field.where, fmt::format("{} to '{}', which the engine writes", op_info(op).name, field.name));
  Attributes attributes = default_attributes(op);
  attributes.field = index - base;
  attributes.alpha = alpha;
  apply(op, inputs, attributes, field.where);
}

Tracer& Tracer::of(const Tensor& tensor, Op op, const SourceLocation& at) {
  if (tensor.tracer_ == nullptr)
    fail(at, fmt::format("{} of an empty tensor", op_info(op).name), "start from q or a field");
  return *tensor.tracer_;
}

PageSet Tracer::page_set(const Tensor& tensor) {
  PageSet set;
  set.set_ = tensor;
  return set;
}

Tensor Tracer::tensor(ValueId value) {
  Tensor t;
  t.tracer_ = this;
  t.value_ = side_ == kCache ? value : value + kMaxNodes * 2;
  return t;
}

/// Tensors of the two methods are told apart: a value kept from forward_cache means nothing in forward_indexer.
ValueId Tracer::value_of(const Tensor& tensor, Op op, const SourceLocation& at) const {
  const ValueId value = side_ == kCache ? tensor.value_ : tensor.value_ - kMaxNodes * 2;
  if (tensor.tracer_ != this || value < 0)
    fail(at, fmt::format("{} of a tensor from another method", op_info(op).name),
         "what forward_indexer needs of a page, forward_cache must write to a field");
  return value;
}

int Tracer::find_field(const FieldName& field) const {
  const Graph& graph = builder_.graph();
  if (const auto found = graph.find_field(field.name)) return *found;
  std::vector<std::string_view> names;
  for (int f = 0; f < graph.field_count(); ++f) names.push_back(graph.field_name(f));
  fail(field.where, fmt::format("no field '{}'", field.name), nearest_name_hint(field.name, names));
}

}  // namespace vortex::flow

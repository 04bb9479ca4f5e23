// Tracer: what Tensor, CacheScope and IndexerScope record into while a flow's methods run.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "base/result.h"
#include "flow/ir/builder.h"
#include "vortex/flow.h"

namespace vortex::flow {

/// Ends a recording. Never leaves trace().
struct TraceFault {
  Error error;
};

class Tracer {
 public:
  explicit Tracer(GraphBuilder builder) : builder_(std::move(builder)) {}

  /// Records the flow's methods and hands over the verified graph. Throws TraceFault, or what the flow throws.
  Graph record(FlowBase& flow);

  /// Appends a node; its tensor, or an empty one for stores.
  Tensor apply(Op op, std::initializer_list<Tensor> inputs, const Attributes& attributes, const SourceLocation& at);
  Score output(Op op, std::initializer_list<Tensor> inputs, const Attributes& attributes, const SourceLocation& at);
  Tensor read(const FieldName& field);
  void store(Op op, std::initializer_list<Tensor> inputs, const FieldName& field, float alpha);

  /// The tracer a tensor belongs to; TraceFault if it was never recorded.
  static Tracer& of(const Tensor& tensor, Op op, const SourceLocation& at);
  static const Tensor& tensor_of(const PageSet& set) { return set.set_; }
  static PageSet page_set(const Tensor& tensor);

 private:
  Tensor tensor(ValueId value);
  ValueId value_of(const Tensor& tensor, Op op, const SourceLocation& at) const;
  int find_field(const FieldName& field) const;

  GraphBuilder builder_;
  Side side_ = kCache;
  int outputs_ = 0;
};

}  // namespace vortex::flow

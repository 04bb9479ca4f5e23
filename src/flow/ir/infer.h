// Shape and format inference: what an op gives for what it reads (spec of each rule in infer.cc).
#pragma once

#include <optional>
#include <span>

#include "base/result.h"
#include "flow/ir/graph.h"

namespace vortex::flow {

/// Type of the result of `op`, or nothing for stores and output ops. Checks side, arity, attributes, formats and
/// shapes; `stored` is the type of the field a store names. Errors (invalid_argument) start with the op's name, show
/// the shapes and have no `where`.
Result<std::optional<Type>> infer_type(Side side, Op op, const Attributes& attributes, std::span<const Type> inputs,
                                       const std::optional<Type>& stored);

}  // namespace vortex::flow

#include "flow/ir/op.h"

#include <array>

namespace vortex::flow {
namespace {

constexpr std::array kOps = {
#define VORTEX_OP(op, name, arity, sides, schedule, rule, attributes, alpha, beta) \
  OpInfo{name, arity, sides, Schedule::schedule, TypeRule::rule, attributes, alpha, beta},
#include "flow/ir/ops.def"
};

}  // namespace

std::string_view side_method(Side side) { return side == kCache ? "forward_cache" : "forward_indexer"; }

const OpInfo& op_info(Op op) { return kOps[static_cast<size_t>(op)]; }

std::optional<Op> op_from_name(std::string_view name) {
  for (size_t i = 0; i < kOps.size(); ++i)
    if (kOps[i].name == name) return static_cast<Op>(i);
  return std::nullopt;
}

Attributes default_attributes(Op op) {
  Attributes attributes;
  attributes.alpha = op_info(op).alpha;
  attributes.beta = op_info(op).beta;
  return attributes;
}

Schedule schedule_of(Op op, const Attributes& attributes) {
  if (op_info(op).rule == TypeRule::kReduce && attributes.dim == 0) return Schedule::kAlone;
  return op_info(op).schedule;
}

std::optional<Op> reduction_of(Op op) {
  switch (op) {
#define VORTEX_REDUCE(op, name, sides) \
  case Op::op:                         \
    return Op::op;
#define VORTEX_INTERLEAVE(op, name, reduction) \
  case Op::op:                                 \
    return Op::reduction;
#include "flow/ir/ops.def"
    default:
      return std::nullopt;
  }
}

const std::vector<IntAttribute>& int_attributes() {
  static const std::vector<IntAttribute> kList = {
      {kDim, "dim", &Attributes::dim},           {kCount, "k", &Attributes::k},
      {kRange, "start", &Attributes::start},     {kRange, "end", &Attributes::end},
      {kExtent, "rows", &Attributes::rows},      {kExtent, "cols", &Attributes::cols},
      {kAxes, "dims", &Attributes::dims},        {kBounds, "at_least", &Attributes::at_least},
      {kBounds, "at_most", &Attributes::at_most}};
  return kList;
}

const std::vector<FloatAttribute>& float_attributes() {
  static const std::vector<FloatAttribute> kList = {{kAlpha, "alpha", &Attributes::alpha},
                                                    {kBeta, "beta", &Attributes::beta},
                                                    {kScale, "scale", &Attributes::scale},
                                                    {kRatio, "tolerate_ratio", &Attributes::tolerate_ratio},
                                                    {kMass, "mass", &Attributes::mass}};
  return kList;
}

}  // namespace vortex::flow

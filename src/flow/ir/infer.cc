#include "flow/ir/infer.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace vortex::flow {
namespace {

/// One op application under inference; the rules read like the specification's table.
class Inference {
 public:
  Inference(Side side, Op op, const Attributes& attributes, std::span<const Type> inputs, std::optional<Type> stored)
      : side_(side), op_(op), info_(op_info(op)), attributes_(attributes), in_(inputs), stored_(stored) {}

  Result<std::optional<Type>> run() const {
    VORTEX_RETURN_IF_ERROR(check_use());
    VORTEX_RETURN_IF_ERROR(check_numbers());
    VORTEX_ASSIGN_OR_RETURN(std::optional<Type> type, apply_rule());
    if (type && (type->rows > kMaxExtent || type->cols > kMaxExtent || type->elements() > kMaxElements))
      return fault(fmt::format("result [{}, {}] exceeds {} elements a page", type->rows, type->cols, kMaxElements));
    return type;
  }

 private:
  using Answer = Result<std::optional<Type>>;

  Error fault(const std::string& what, std::string hint = {}) const {
    std::string shapes;
    for (const Type& t : in_) shapes += (shapes.empty() ? "" : ", ") + to_string(t, side_);
    return {ErrorCode::kInvalidArgument, "", fmt::format("{}({}): {}", info_.name, shapes, what), std::move(hint)};
  }

  Status check_use() const {
    if ((info_.sides & side_) == 0)
      return fault(fmt::format("not available in {}", side_method(side_)),
                   fmt::format("use it in {}", side_method(info_.sides)));
    if (static_cast<int>(in_.size()) != info_.arity)
      return fault(fmt::format("takes {} tensors, got {}", info_.arity, in_.size()));
    for (const Type& t : in_)
      if ((t.format == Format::kPages) != (op_ == Op::kUnion))
        return fault(op_ == Op::kUnion ? "joins results of TopK" : "a set of pages is not a tensor");
    return {};
  }

  Status check_numbers() const {
    for (const FloatAttribute& a : float_attributes())
      if (has_attribute(op_, a.flag) && !std::isfinite(attributes_.*a.member))
        return fault(fmt::format("{} must be a finite number", a.key));
    if (has_attribute(op_, kRatio) && !(attributes_.tolerate_ratio >= 0 && attributes_.tolerate_ratio <= 1))
      return fault(fmt::format("tolerate_ratio must be between 0 and 1, got {}", attributes_.tolerate_ratio));
    if (has_attribute(op_, kMass) && !(attributes_.mass > 0 && attributes_.mass <= 1))
      return fault(fmt::format("mass must be above 0 and at most 1, got {}", attributes_.mass));
    VORTEX_RETURN_IF_ERROR(check_bounds());
    if (has_attribute(op_, kCount) && (attributes_.k < 1 || attributes_.k > kMaxSetPages))
      return fault(fmt::format("k must be 1 to {}, got {}", kMaxSetPages, attributes_.k));
    return {};
  }

  /// How many pages top_p may take; at_most 0 leaves it to the budget.
  Status check_bounds() const {
    if (!has_attribute(op_, kBounds)) return {};
    const int least = attributes_.at_least, most = attributes_.at_most;
    if (least < 0 || most < 0 || most > kMaxSetPages || (most > 0 && least > most))
      return fault(fmt::format("needs 0 <= at_least <= at_most <= {}, got {} and {}", kMaxSetPages, least, most));
    return {};
  }

  Answer apply_rule() const {
    switch (info_.rule) {
      case TypeRule::kUnary:
        return made(in_[0].rows, in_[0].cols);
      case TypeRule::kBinary:
        return binary();
      case TypeRule::kGemm:
        return gemm();
      case TypeRule::kReduce:
        return reduce();
      case TypeRule::kInterleave:
        return interleave();
      case TypeRule::kPageAxis:
        return page_axis();
      case TypeRule::kKron:
        return kron();
      case TypeRule::kTranspose:
        return made(in_[0].cols, in_[0].rows);
      case TypeRule::kReshape:
        return reshape();
      case TypeRule::kMaskSlice:
        return mask_slice();
      case TypeRule::kProject:
        return project();
      case TypeRule::kLoad:
        if (in_[0].format != Format::kPaged) return fault("loads a field", "pass c[\"name\"]");
        return made(in_[0].rows, in_[0].cols);
      case TypeRule::kStore:
        return store();
      case TypeRule::kOutput:
        return output();
      case TypeRule::kPageSet:
        if (Answer checked = output(); !checked.ok()) return checked;
        return std::optional(Type{Format::kPages, 1, 1});
      case TypeRule::kUnion:
        return std::optional<Type>();
    }
    VORTEX_CHECK(false, "rule of {}", info_.name);
  }

  /// Batched iff all inputs are; else ragged.
  Answer made(int64_t rows, int64_t cols) const {
    const bool batched =
        std::all_of(in_.begin(), in_.end(), [](const Type& t) { return t.format == Format::kBatched; });
    const auto bounded = [](int64_t n) { return static_cast<int>(std::min<int64_t>(n, kMaxExtent + 1)); };
    const Format format = batched && side_ == kIndexer ? Format::kBatched : Format::kRagged;
    return std::optional(Type{format, bounded(rows), bounded(cols)});
  }

  static bool broadcasts(int a, int b) { return a == b || a == 1 || b == 1; }

  Answer binary() const {
    const Type &x = in_[0], &y = in_[1];
    if (!broadcasts(x.rows, y.rows) || !broadcasts(x.cols, y.cols)) return fault("inner axes must be equal or 1");
    return made(std::max(x.rows, y.rows), std::max(x.cols, y.cols));
  }

  Answer gemm() const {
    const Type &x = in_[0], &y = in_[1];
    if (x.cols != y.cols) return fault("last axes must be equal: out = y times x transposed");
    if (op_ == Op::kGemv && (x.rows != 1 || y.rows != 1)) return fault("middle axes must be 1", "use GeMM");
    return made(y.rows, x.rows);
  }

  Answer reduce() const {
    const Type& x = in_[0];
    const int lowest = side_ == kIndexer ? 0 : 1;
    if (attributes_.dim < lowest || attributes_.dim > 2)
      return fault(fmt::format("dim must be {}, got {}", lowest == 0 ? "0, 1 or 2" : "1 or 2", attributes_.dim));
    if (attributes_.dim == 1) return made(1, x.cols);
    if (attributes_.dim == 2) return made(x.rows, 1);
    if (x.format != Format::kRagged) return fault("dim 0 needs a ragged tensor", ragged_hint());
    return std::optional(Type{Format::kBatched, x.rows, x.cols});
  }

  std::string ragged_hint() const { return in_[0].format == Format::kPaged ? "Load the field first" : ""; }

  Answer interleave() const {
    const Type& x = in_[0];
    const int dim = attributes_.dim, k = attributes_.k;
    if (dim != 1 && dim != 2) return fault(fmt::format("dim must be 1 or 2, got {}", dim));
    const int extent = dim == 1 ? x.rows : x.cols;
    if (extent % k != 0) return fault(fmt::format("axis {} of size {} is not divisible by k = {}", dim, extent, k));
    return dim == 1 ? made(x.rows / k, x.cols) : made(x.rows, x.cols / k);
  }

  Answer page_axis() const {
    const Type& x = in_[0];
    if (attributes_.dim != 0) return fault(fmt::format("dim must be 0, got {}", attributes_.dim));
    if (x.format != Format::kRagged) return fault("needs a ragged tensor", ragged_hint());
    if (has_attribute(op_, kWeight)) {
      if (static_cast<int64_t>(attributes_.weight.size()) != attributes_.k * x.elements())
        return fault(fmt::format("weight must be [{}, {}, {}], has {} numbers", attributes_.k, x.rows, x.cols,
                                 attributes_.weight.size()));
      for (float w : attributes_.weight)
        if (!std::isfinite(w)) return fault("weight must be finite numbers");
    }
    return made(x.rows, x.cols);
  }

  Answer kron() const {
    const Type &x = in_[0], &y = in_[1];
    if (attributes_.dims < 1 || attributes_.dims > 3) return fault("dims must name axis 1, axis 2 or both");
    const auto extent = [&](int axis, int a, int b) -> int64_t {
      return (attributes_.dims & axis) != 0 ? int64_t{a} * b : std::max(a, b);
    };
    if (((attributes_.dims & 1) == 0 && !broadcasts(x.rows, y.rows)) ||
        ((attributes_.dims & 2) == 0 && !broadcasts(x.cols, y.cols)))
      return fault("axes outside dims must be equal or 1");
    return made(extent(1, x.rows, y.rows), extent(2, x.cols, y.cols));
  }

  Answer reshape() const {
    const Type& x = in_[0];
    if (x.format == Format::kPaged && side_ == kIndexer) return fault("cannot reshape a field", ragged_hint());
    if (attributes_.rows < 1 || attributes_.cols < 1 || int64_t{attributes_.rows} * attributes_.cols != x.elements())
      return fault(
          fmt::format("cannot become [{}, {}]: {} elements a page", attributes_.rows, attributes_.cols, x.elements()));
    return made(attributes_.rows, attributes_.cols);
  }

  Answer project() const {
    const Type& x = in_[0];
    if (x.format != Format::kBatched) return fault("needs a batched tensor", "project the query, not pages");
    if (attributes_.parameter.empty() || attributes_.parameter.size() > kMaxNameLength)
      return fault(fmt::format("the parameter's name has {} letters, 1 to {} are allowed", attributes_.parameter.size(),
                               kMaxNameLength));
    const int64_t numbers = int64_t{attributes_.rows} * attributes_.cols;
    if (attributes_.rows < 1 || attributes_.cols < 1 || x.elements() % numbers != 0)
      return fault(fmt::format("the {} numbers are not whole parts of [{}, {}]", x.elements(), attributes_.rows,
                               attributes_.cols));
    return made(attributes_.rows, attributes_.cols);
  }

  Answer mask_slice() const {
    const Type& x = in_[0];
    if (attributes_.dim != 1 && attributes_.dim != 2)
      return fault(fmt::format("dim must be 1 or 2, got {}", attributes_.dim));
    const int extent = attributes_.dim == 1 ? x.rows : x.cols;
    if (!(0 <= attributes_.start && attributes_.start <= attributes_.end && attributes_.end <= extent))
      return fault(
          fmt::format("needs 0 <= start <= end <= {}, got {} and {}", extent, attributes_.start, attributes_.end));
    return made(x.rows, x.cols);
  }

  Answer store() const {
    if (!stored_) return fault("names no declared field");
    if (info_.arity == 0) return std::optional<Type>();
    if (in_[0].rows != stored_->rows || in_[0].cols != stored_->cols)
      return fault(fmt::format("the field is [{}, {}]", stored_->rows, stored_->cols),
                   "declare the shape that is written in create_cache");
    if (op_ == Op::kSave && in_[0].format != Format::kRagged) return fault("saves a ragged tensor", ragged_hint());
    return std::optional<Type>();
  }

  Answer output() const {
    if (in_[0] == Type{Format::kRagged, 1, 1}) return std::optional<Type>();
    const char* hint = in_[0].format == Format::kBatched ? "a batched score is the same for every page"
                       : in_[0].format == Format::kPaged ? "Load the field first"
                                                         : "reduce the inner axes, for instance with Max(1) and Max(2)";
    return fault("the score must be ragged [S, 1, 1]", hint);
  }

  Side side_;
  Op op_;
  const OpInfo& info_;
  const Attributes& attributes_;
  std::span<const Type> in_;
  std::optional<Type> stored_;
};

}  // namespace

Result<std::optional<Type>> infer_type(Side side, Op op, const Attributes& attributes, std::span<const Type> inputs,
                                       const std::optional<Type>& stored) {
  return Inference(side, op, attributes, inputs, stored).run();
}

}  // namespace vortex::flow

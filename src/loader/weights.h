// WeightMap: the tensors of a model under our names (weight_names.h), each taken exactly once. A model that leaves one
// behind, or asks for one that is not there, is refused: a wrong name map never becomes wrong text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "loader/tensor_list.h"

namespace vortex {

/// A part of a tensor: [begin, end) of an axis that has `whole` elements in the file; or zeros in its place.
struct WeightSlice {
  int axis = 0;
  int64_t begin = 0, end = 0, whole = 0;
  bool zeros = false;
};

class WeightMap {
 public:
  /// Makes a tensor of a name and shape on demand (random weights). The maker owns the memory.
  using Maker = std::function<Result<TensorView>(std::string_view name, const Shape& shape)>;

  WeightMap() = default;
  /// Frees what a maker made for a name.
  using Releaser = std::function<void(std::string_view name)>;
  /// Which part of a tensor is taken; nothing: all of it.
  using Slicer = std::function<std::optional<WeightSlice>(std::string_view name)>;
  explicit WeightMap(Maker maker, Releaser releaser = nullptr)
      : maker_(std::move(maker)), releaser_(std::move(releaser)) {}

  /// `where` names the model in errors. With `tied`, "lm_head.weight" is the embedding and a stored copy is ignored.
  void describe_as(std::string where, bool tied);
  /// kDataLoss when the name is there already.
  Status add(std::string name, const TensorView& view);

  /// From now on take() gives parts, and expects their shapes.
  void slice_by(Slicer slicer) { slicer_ = std::move(slicer); }
  /// The largest block of the types of all tensors; 1 without block types.
  int64_t largest_block() const;

  /// The tensor, which must have this shape: kNotFound when missing, kDataLoss with both shapes otherwise. Asking
  /// twice for a name is our bug. "lm_head.weight" of a tied model gives the embedding, at any time.
  Result<TensorView> take(std::string_view name, const Shape& expected);
  /// The same, but nothing when the tensor is absent.
  Result<std::optional<TensorView>> take_optional(std::string_view name, const Shape& expected);
  bool contains(std::string_view name) const;

  /// The memory of a part that had to be copied out of its tensor; null when take() gave a view of the file.
  std::unique_ptr<std::byte[]> hand_over(std::string_view name);

  /// Nobody reads this tensor any more: random weights and copied parts are freed, those of a file stay mapped. An
  /// embedding that is also the head stays.
  void release(std::string_view name);

  /// kDataLoss with the first few leftovers when a tensor was not taken; harmless ones (precomputed rotary tables
  /// and the like) are known by name.
  Status finish() const;

 private:
  Result<TensorView> part(std::string_view name, const TensorView& tensor, const WeightSlice& slice,
                          const Shape& expected);

  std::string where_;
  bool tied_ = false;
  Slicer slicer_;
  std::map<std::string, std::unique_ptr<std::byte[]>, std::less<>> copies_;
  Maker maker_;
  Releaser releaser_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace vortex

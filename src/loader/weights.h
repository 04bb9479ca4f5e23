// WeightMap: the tensors of a model under our names (weight_names.h), each taken exactly once. A model that leaves one
// behind, or asks for one that is not there, is refused: a wrong name map never becomes wrong text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "loader/tensor_list.h"

namespace vortex {

class WeightMap {
 public:
  /// Makes a tensor of a name and shape on demand (random weights). The maker owns the memory.
  using Maker = std::function<Result<TensorView>(std::string_view name, const Shape& shape)>;

  WeightMap() = default;
  /// Frees what a maker made for a name.
  using Releaser = std::function<void(std::string_view name)>;
  explicit WeightMap(Maker maker, Releaser releaser = nullptr)
      : maker_(std::move(maker)), releaser_(std::move(releaser)) {}

  /// `where` names the model in errors. With `tied`, "lm_head.weight" is the embedding and a stored copy is ignored.
  void describe_as(std::string where, bool tied);
  /// kDataLoss when the name is there already.
  Status add(std::string name, const TensorView& view);

  /// The tensor, which must have this shape: kNotFound when missing, kDataLoss with both shapes otherwise. Asking
  /// twice for a name is our bug. "lm_head.weight" of a tied model gives the embedding, at any time.
  Result<TensorView> take(std::string_view name, const Shape& expected);
  /// The same, but nothing when the tensor is absent.
  Result<std::optional<TensorView>> take_optional(std::string_view name, const Shape& expected);
  bool contains(std::string_view name) const;

  /// Nobody reads this tensor any more: random weights are freed, those of a file stay mapped. An embedding that is
  /// also the head stays.
  void release(std::string_view name);

  /// kDataLoss with the first few leftovers when a tensor was not taken; harmless ones (precomputed rotary tables
  /// and the like) are known by name.
  Status finish() const;

 private:
  std::string where_;
  bool tied_ = false;
  Maker maker_;
  Releaser releaser_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace vortex

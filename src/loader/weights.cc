#include "loader/weights.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "loader/errors.h"

namespace vortex {
namespace {

constexpr std::string_view kEmbedding = "model.embed_tokens.weight";
constexpr std::string_view kHead = "lm_head.weight";

/// Tables that old checkpoints store although the config gives them.
constexpr std::string_view kHarmless[] = {
    "rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached", "attn.masked_bias", "rope_freqs.weight",
};

bool is_harmless(std::string_view name) {
  return std::any_of(std::begin(kHarmless), std::end(kHarmless),
                     [&](std::string_view end) { return name.ends_with(end); });
}

Shape whole_shape(const Shape& part, const WeightSlice& slice) {
  if (slice.zeros) return part;
  VORTEX_CHECK(part[slice.axis] == slice.end - slice.begin, "a part of {} elements", part[slice.axis]);
  Shape whole;
  for (int i = 0; i < part.rank(); ++i) whole.push_back(i == slice.axis ? slice.whole : part[i]);
  return whole;
}

/// Elements [begin, end) of the slice's axis, for all that comes before the axis.
Status gather(const std::string& where, std::string_view name, const TensorView& tensor, const WeightSlice& slice,
              std::byte* out) {
  int64_t inner = 1, outer = 1;
  for (int i = 0; i < tensor.shape.rank(); ++i) (i < slice.axis ? outer : inner) *= tensor.shape[i];
  inner /= slice.whole;  // elements of one step along the axis
  const int64_t block = dtype_info(tensor.dtype).block_elements;
  if (slice.begin * inner % block != 0 || (slice.end - slice.begin) * inner % block != 0)
    return Error{ErrorCode::kUnsupported, where,
                 fmt::format("tensor {} in blocks of {} cannot be cut at column {}", quote_name(name), block,
                             slice.begin * inner % block != 0 ? slice.begin : slice.end),
                 "choose fewer ranks, or a file of another type"};
  const int64_t row = dtype_bytes(tensor.dtype, slice.whole * inner);
  const int64_t first = dtype_bytes(tensor.dtype, slice.begin * inner);
  const int64_t bytes = dtype_bytes(tensor.dtype, (slice.end - slice.begin) * inner);
  for (int64_t i = 0; i < outer; ++i)
    std::memcpy(out + i * bytes, tensor.data + i * row + first, static_cast<size_t>(bytes));
  return {};
}

}  // namespace

void WeightMap::describe_as(std::string where, bool tied) {
  where_ = std::move(where);
  tied_ = tied;
}

Status WeightMap::add(std::string name, const TensorView& view) {
  const auto [it, inserted] = tensors_.emplace(std::move(name), view);
  if (inserted) return {};
  return data_loss(where_, fmt::format("holds tensor {} twice", quote_name(it->first)));
}

void WeightMap::release(std::string_view name) {
  const bool is_embedding = tied_ && (name == kHead || name == kEmbedding);
  if (releaser_ && !is_embedding) releaser_(name);
  copies_.erase(std::string(name));
}

std::unique_ptr<std::byte[]> WeightMap::hand_over(std::string_view name) {
  const auto it = copies_.find(name);
  if (it == copies_.end()) return nullptr;
  std::unique_ptr<std::byte[]> memory = std::move(it->second);
  copies_.erase(it);
  return memory;
}

int64_t WeightMap::largest_block() const {
  int64_t largest = 1;
  for (const auto& [name, view] : tensors_) largest = std::max<int64_t>(largest, dtype_info(view.dtype).block_elements);
  return largest;
}

bool WeightMap::contains(std::string_view name) const {
  return tensors_.contains(tied_ && name == kHead ? kEmbedding : name);
}

Result<TensorView> WeightMap::take(std::string_view name, const Shape& expected) {
  const bool is_tied_head = tied_ && name == kHead;
  std::optional<WeightSlice> slice = slicer_ ? slicer_(name) : std::nullopt;
  if (is_tied_head) name = kEmbedding;
  auto it = tensors_.find(name);
  if (it == tensors_.end() && maker_) {
    VORTEX_ASSIGN_OR_RETURN(const TensorView made, maker_(name, expected));
    it = tensors_.emplace(std::string(name), made).first;
    slice.reset();  // what is made for a part is that part
  }
  if (it == tensors_.end()) {
    return Error{ErrorCode::kNotFound, where_, fmt::format("tensor {} is missing", quote_name(name)),
                 "the file is incomplete or of another architecture"};
  }
  const Shape in_file = slice ? whole_shape(expected, *slice) : expected;
  if (it->second.shape != in_file) {
    return Error{ErrorCode::kDataLoss,
                 where_,
                 fmt::format("tensor {} has shape {}, the config asks for {}", quote_name(name),
                             it->second.shape.to_string(), in_file.to_string()),
                 {}};
  }
  if (!is_tied_head) VORTEX_CHECK(taken_.emplace(name).second, "{} taken twice", name);
  return slice ? part(name, it->second, *slice, expected) : it->second;
}

/// Parts along the first axis are where they are; others are gathered.
Result<TensorView> WeightMap::part(std::string_view name, const TensorView& tensor, const WeightSlice& slice,
                                   const Shape& expected) {
  if (slice.axis == 0 && !slice.zeros) {
    const int64_t row = tensor.shape.elements() / slice.whole;
    return TensorView{tensor.data + dtype_bytes(tensor.dtype, slice.begin * row), tensor.dtype, expected};
  }
  TensorView copy{nullptr, slice.zeros ? DType::kF32 : tensor.dtype, expected};
  auto memory = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(copy.bytes()));
  copy.data = memory.get();
  if (slice.zeros) {
    std::memset(memory.get(), 0, static_cast<size_t>(copy.bytes()));
  } else {
    VORTEX_RETURN_IF_ERROR(gather(where_, name, tensor, slice, memory.get()));
  }
  copies_[std::string(name)] = std::move(memory);
  return copy;
}

Result<std::optional<TensorView>> WeightMap::take_optional(std::string_view name, const Shape& expected) {
  if (!contains(name)) return std::optional<TensorView>();
  VORTEX_ASSIGN_OR_RETURN(const TensorView view, take(name, expected));
  return std::optional<TensorView>(view);
}

Status WeightMap::finish() const {
  constexpr size_t kListed = 4;
  std::vector<std::string_view> left;
  for (const auto& [name, view] : tensors_) {
    const bool ignored = is_harmless(name) || (tied_ && name == kHead);
    if (!ignored && !taken_.contains(name)) left.push_back(name);
  }
  if (left.empty()) return {};
  std::string names;
  for (size_t i = 0; i < std::min(left.size(), kListed); ++i) names += (i ? ", " : "") + quote_name(left[i]);
  return Error{ErrorCode::kDataLoss, where_,
               fmt::format("{} tensors are no part of this architecture: {}{}", left.size(), names,
                           left.size() > kListed ? " ..." : ""),
               "the config does not belong to these weights"};
}

}  // namespace vortex

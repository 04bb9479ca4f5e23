#include "loader/weights.h"

#include <algorithm>
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
}

bool WeightMap::contains(std::string_view name) const {
  return tensors_.contains(tied_ && name == kHead ? kEmbedding : name);
}

Result<TensorView> WeightMap::take(std::string_view name, const Shape& expected) {
  const bool is_tied_head = tied_ && name == kHead;
  if (is_tied_head) name = kEmbedding;
  auto it = tensors_.find(name);
  if (it == tensors_.end() && maker_) {
    VORTEX_ASSIGN_OR_RETURN(const TensorView made, maker_(name, expected));
    it = tensors_.emplace(std::string(name), made).first;
  }
  if (it == tensors_.end()) {
    return Error{ErrorCode::kNotFound, where_, fmt::format("tensor {} is missing", quote_name(name)),
                 "the file is incomplete or of another architecture"};
  }
  if (it->second.shape != expected) {
    return Error{ErrorCode::kDataLoss,
                 where_,
                 fmt::format("tensor {} has shape {}, the config asks for {}", quote_name(name),
                             it->second.shape.to_string(), expected.to_string()),
                 {}};
  }
  if (!is_tied_head) VORTEX_CHECK(taken_.emplace(name).second, "{} taken twice", name);
  return it->second;
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

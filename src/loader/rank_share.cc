#include "loader/rank_share.h"

#include <algorithm>

namespace vortex {
namespace {

Error cannot_split(int ranks, std::string why) {
  return {ErrorCode::kUnsupported, "--tensor-parallel-size", fmt::format("{} ranks, but {}", ranks, why),
          "choose fewer ranks"};
}

constexpr int64_t kShortest = 8;  // columns that kernels like to have together

/// Kernels and weights like long runs of columns: the largest unit that makes equal parts, else the shortest run where
/// there is one for each part, else the smallest allowed.
int64_t unit_of(int64_t total, int64_t block, int parts) {
  for (const int64_t unit : {256, 128, 64, 32, 16, 8})
    if (unit % block == 0 && total % (unit * parts) == 0) return unit;
  const bool runs = kShortest % block == 0 && total % kShortest == 0 && total / kShortest >= parts;
  return runs ? kShortest : block;
}

Result<Range> columns_of(std::string_view what, int64_t total, int64_t block, int rank, int ranks) {
  if (total == 0) return Range{};
  if (total / block < ranks)
    return cannot_split(ranks, fmt::format("{} of {} columns hold {} blocks of {}", what, total, total / block, block));
  return part_of(total, unit_of(total, block, ranks), rank, ranks);
}

Status split_heads(const ModelConfig& whole, RankShare* share) {
  const int ranks = share->ranks, rank = share->rank, group = whole.heads / whole.kv_heads;
  if (whole.heads < ranks) return cannot_split(ranks, fmt::format("the model has {} heads", whole.heads));
  if (whole.latent()) {
    share->heads = part_of(whole.heads, 1, rank, ranks);
    share->kv_heads = {0, whole.kv_heads};
    share->replicas = ranks;
    return {};
  }
  if (whole.kv_heads >= ranks) {
    share->kv_heads = part_of(whole.kv_heads, 1, rank, ranks);
    share->heads = {share->kv_heads.begin * group, share->kv_heads.end * group};
    return {};
  }
  share->replicas = ranks / whole.kv_heads;
  if (ranks % whole.kv_heads != 0 || group % share->replicas != 0)
    return cannot_split(
        ranks, fmt::format("{} kv heads of {} query heads each cannot be shared out evenly", whole.kv_heads, group));
  const int64_t kv = rank / share->replicas, per_rank = group / share->replicas;
  share->kv_heads = {kv, kv + 1};
  share->heads = {rank * per_rank, (rank + 1) * per_rank};
  return {};
}

WeightSlice along(int axis, const Range& range, int64_t whole, int64_t times) {
  return {.axis = axis, .begin = range.begin * times, .end = range.end * times, .whole = whole * times};
}

/// Added once: by the first rank.
std::optional<WeightSlice> first_only(const RankShare& share) {
  if (share.rank == 0) return std::nullopt;
  return WeightSlice{.zeros = true};
}

/// Names of weights end with a matrix's name and one of these.
bool is_of(std::string_view name, std::string_view matrix) {
  for (const std::string_view end : {".weight", ".bias"})
    if (name.ends_with(end) && name.substr(0, name.size() - end.size()).ends_with(matrix)) return true;
  return false;
}

std::optional<WeightSlice> attention_slice(std::string_view name, const ModelConfig& whole, const RankShare& share) {
  const MlaConfig& mla = whole.mla;
  const int64_t q_dim = whole.latent() ? mla.qk_nope_head_dim + mla.qk_rope_head_dim : whole.head_dim;
  const int64_t v_dim = whole.latent() ? mla.v_head_dim : whole.head_dim;
  const auto heads = [&](int axis, int64_t times) { return along(axis, share.heads, whole.heads, times); };
  const auto kv_heads = [&](int64_t times) { return along(0, share.kv_heads, whole.kv_heads, times); };
  if (is_of(name, ".q_proj") || is_of(name, ".q_b_proj")) return heads(0, q_dim);
  if (is_of(name, ".k_proj") || is_of(name, ".v_proj")) return kv_heads(whole.head_dim);
  if (name.ends_with(".o_proj.bias")) return first_only(share);
  if (name.ends_with(".o_proj.weight")) return heads(1, v_dim);
  if (name.ends_with(".sinks") || is_of(name, ".k_b_proj") || is_of(name, ".v_b_proj")) return heads(0, 1);
  if (is_of(name, ".kv_b_proj")) return heads(0, mla.qk_nope_head_dim + v_dim);
  if (whole.qk_norm != QkNorm::kAll) return std::nullopt;
  if (is_of(name, ".q_norm")) return heads(0, whole.head_dim);
  if (is_of(name, ".k_norm")) return kv_heads(whole.head_dim);
  return std::nullopt;
}

/// Stacks of all experts, [experts, hidden, 2 * inner] and [experts, inner, hidden], are one axis deeper.
std::optional<WeightSlice> stack_slice(std::string_view name, const ModelConfig& whole, const RankShare& share) {
  const auto inner = [&](int axis, int64_t times) {
    return along(axis, share.expert_inner, whole.moe.intermediate_size, times);
  };
  if (name.ends_with(".experts.gate_up_proj")) return inner(2, 2);
  if (name.ends_with(".experts.gate_up_proj_bias")) return inner(1, 2);
  if (name.ends_with(".experts.down_proj")) return inner(1, 1);
  if (name.ends_with(".experts.down_proj_bias")) return first_only(share);
  return std::nullopt;
}

std::optional<WeightSlice> feed_forward_slice(std::string_view name, const ModelConfig& whole, const RankShare& share) {
  if (const auto stacked = stack_slice(name, whole, share)) return stacked;
  const bool shared = name.find(".shared_experts.") != name.npos;
  const bool expert = shared || name.find(".experts.") != name.npos;
  const auto inner = [&](int axis) {
    if (!expert) return along(axis, share.inner, whole.intermediate_size, 1);
    return along(axis, share.expert_inner, whole.moe.intermediate_size, shared ? whole.moe.shared_experts : 1);
  };
  if (is_of(name, ".gate_proj") || is_of(name, ".up_proj")) return inner(0);
  if (name.ends_with(".down_proj.bias")) return first_only(share);
  if (name.ends_with(".down_proj.weight")) return inner(1);
  return std::nullopt;
}

}  // namespace

Range part_of(int64_t total, int64_t unit, int index, int parts) {
  const int64_t units = (total + unit - 1) / unit;
  return {std::min(total, units * index / parts * unit), std::min(total, units * (index + 1) / parts * unit)};
}

Result<RankShare> share_of(const ModelConfig& whole, int64_t block, int rank, int ranks) {
  VORTEX_CHECK(rank >= 0 && rank < ranks && block >= 1, "rank {} of {}", rank, ranks);
  RankShare share{.rank = rank, .ranks = ranks};
  VORTEX_RETURN_IF_ERROR(split_heads(whole, &share));
  VORTEX_ASSIGN_OR_RETURN(share.inner,
                          columns_of("a feed-forward network", whole.intermediate_size, block, rank, ranks));
  VORTEX_ASSIGN_OR_RETURN(share.expert_inner, columns_of("an expert", whole.moe.intermediate_size, block, rank, ranks));
  const int64_t vocab_unit = whole.vocab_size >= 64 * ranks ? 64 : 1;
  share.vocab = part_of(whole.vocab_size, vocab_unit, rank, ranks);
  return share;
}

ModelConfig local_config(const ModelConfig& whole, const RankShare& share) {
  ModelConfig local = whole;
  local.heads = static_cast<int>(share.heads.size());
  local.kv_heads = static_cast<int>(share.kv_heads.size());
  local.intermediate_size = static_cast<int>(share.inner.size());
  local.moe.intermediate_size = static_cast<int>(share.expert_inner.size());
  return local;
}

std::optional<WeightSlice> slice_of(std::string_view name, const ModelConfig& whole, const RankShare& share) {
  if (name == "lm_head.weight") return along(0, share.vocab, whole.vocab_size, 1);
  if (name.find(".self_attn.") != name.npos) return attention_slice(name, whole, share);
  if (name.find(".mlp.") != name.npos) return feed_forward_slice(name, whole, share);
  return std::nullopt;
}

}  // namespace vortex

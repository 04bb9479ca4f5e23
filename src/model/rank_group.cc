#include "model/rank_group.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace vortex::model {
namespace {

constexpr auto kFloat = static_cast<int64_t>(sizeof(float));

std::span<const std::byte> bytes_of(const float* data, int64_t count) {
  return std::as_bytes(std::span(data, static_cast<size_t>(count)));
}

Error failed_elsewhere(int rank) {
  return {ErrorCode::kInvalidArgument, "flow", fmt::format("the scores of rank {} hold NaN", rank),
          "check the flow's operators for overflow"};
}

}  // namespace

RankGroup::RankGroup(comm::Communicator* comm, const ModelFiles& files) : comm_(comm), whole_(files.whole_config()) {
  for (int rank = 0; rank < comm->size(); ++rank) shares_.push_back(files.share_of_rank(rank));
  bytes_.resize(shares_.size());
}

void RankGroup::keep(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

Result<std::vector<int64_t>> RankGroup::values_of_all(int64_t value) {
  std::vector<int64_t> all(shares_.size());
  std::ranges::fill(bytes_, static_cast<int64_t>(sizeof value));
  VORTEX_RETURN_IF_ERROR(
      comm_->all_gather(std::as_bytes(std::span(&value, 1)), bytes_, reinterpret_cast<std::byte*>(all.data())));
  return all;
}

Result<int64_t> RankGroup::least(int64_t value) {
  VORTEX_ASSIGN_OR_RETURN(const std::vector<int64_t> all, values_of_all(value));
  return *std::ranges::min_element(all);
}

Status RankGroup::check_alike(uint64_t fingerprint) {
  VORTEX_ASSIGN_OR_RETURN(const std::vector<int64_t> all, values_of_all(static_cast<int64_t>(fingerprint)));
  const auto other = std::ranges::find_if(all, [&](int64_t value) { return value != all[0]; });
  if (other == all.end()) return {};
  return Error{ErrorCode::kConfiguration, fmt::format("rank {}", other - all.begin()),
               "its model, flow, processor or kind of device is not that of rank 0",
               "give every host the same files and kind of machine"};
}

void RankGroup::add_up(std::span<float> x) {
  if (status_.ok()) keep(comm_->all_reduce_sum(x));
}

const float* RankGroup::whole_rows(const float* queries, int64_t decodes, int64_t dim) {
  const RankShare& own = share();
  if (own.replicas == 1) return queries;
  int64_t floats = 0;
  for (size_t r = 0; r < shares_.size(); ++r) {
    bytes_[r] = decodes * shares_[r].heads.size() * dim * kFloat;
    floats += bytes_[r] / kFloat;
  }
  gathered_.resize(static_cast<size_t>(floats));
  const int64_t group = whole_group();
  rows_.resize(static_cast<size_t>(decodes * group * dim));
  if (!status_.ok()) return rows_.data();
  keep(comm_->all_gather(bytes_of(queries, decodes * own.heads.size() * dim), bytes_,
                         reinterpret_cast<std::byte*>(gathered_.data())));
  const int first = own.rank / own.replicas * own.replicas;
  const float* from = gathered_.data();
  int64_t head = 0;
  for (int r = 0; r < own.ranks; ++r) {
    const int64_t width = shares_[static_cast<size_t>(r)].heads.size() * dim;
    for (int64_t t = 0; t < decodes; ++t, from += width) {
      if (r < first || r >= first + own.replicas) continue;
      std::memcpy(&rows_[static_cast<size_t>((t * group + head) * dim)], from, static_cast<size_t>(width * kFloat));
    }
    if (r >= first && r < first + own.replicas) head += width / dim;
  }
  return rows_.data();
}

void RankGroup::collect(const float* part, int64_t rows, float* all, StepResult* result) {
  if (rows > 0) collect_logits(part, rows, all);
  if (!result->pages_read.empty()) collect_decodes(result);
}

void RankGroup::collect_logits(const float* part, int64_t rows, float* all) {
  int64_t floats = 0;
  for (size_t r = 0; r < shares_.size(); ++r) {
    bytes_[r] = rows * shares_[r].vocab.size() * kFloat;
    floats += bytes_[r] / kFloat;
  }
  if (leads()) gathered_.resize(static_cast<size_t>(floats));
  if (status_.ok())
    keep(comm_->gather(bytes_of(part, rows * share().vocab.size()), bytes_,
                       leads() ? reinterpret_cast<std::byte*>(gathered_.data()) : nullptr));
  if (!leads() || !status_.ok()) return;
  const float* from = gathered_.data();
  for (const RankShare& other : shares_)
    for (int64_t row = 0; row < rows; ++row, from += other.vocab.size())
      std::memcpy(all + row * whole_.vocab_size + other.vocab.begin, from,
                  static_cast<size_t>(other.vocab.size() * kFloat));
}

/// Of each decode: pages read in rows that no lower rank holds too, and whether its flow failed.
void RankGroup::collect_decodes(StepResult* result) {
  const size_t decodes = result->pages_read.size();
  report_.assign(2 * decodes, 0);
  if (share().rank % share().replicas == 0) std::ranges::copy(result->pages_read, report_.begin());
  for (const FlowFailure& failure : result->failures) report_[decodes + static_cast<size_t>(failure.sequence)] = 1;
  const auto bytes = static_cast<int64_t>(report_.size() * sizeof(int64_t));
  std::ranges::fill(bytes_, bytes);
  if (leads()) reports_.resize(report_.size() * shares_.size());
  if (status_.ok())
    keep(comm_->gather(std::as_bytes(std::span(report_)), bytes_,
                       leads() ? reinterpret_cast<std::byte*>(reports_.data()) : nullptr));
  if (!leads() || !status_.ok()) return;
  for (size_t rank = 1; rank < shares_.size(); ++rank) {
    const int64_t* report = &reports_[rank * report_.size()];
    for (size_t i = 0; i < decodes; ++i) {
      result->pages_read[i] += report[i];
      if (report[decodes + i] != 0)
        result->failures.push_back({static_cast<int>(i), failed_elsewhere(static_cast<int>(rank))});
    }
  }
}

}  // namespace vortex::model

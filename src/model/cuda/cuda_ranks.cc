#include "model/cuda/cuda_ranks.h"

#include <fmt/core.h>

#include <algorithm>

namespace vortex::cuda {
namespace {

using bf16 = __nv_bfloat16;

/// Rows of `width` elements from one matrix into columns of another.
template <class T>
void copy_columns(const T* from, int64_t width, int64_t rows, T* to, int64_t stride, cudaStream_t stream) {
  VORTEX_CUDA_CHECK(cudaMemcpy2DAsync(to, static_cast<size_t>(stride) * sizeof(T), from,
                                      static_cast<size_t>(width) * sizeof(T), static_cast<size_t>(width) * sizeof(T),
                                      static_cast<size_t>(rows), cudaMemcpyDeviceToDevice, stream));
}

constexpr int64_t kExpertUnit = 8;  // columns that the kernels of experts take

int64_t bytes_of(int64_t count, size_t element) { return count * static_cast<int64_t>(element); }

}  // namespace

CudaRanks::CudaRanks(std::unique_ptr<DeviceCommunicator> device, const ModelFiles& files)
    : device_(std::move(device)), files_(files) {
  for (int rank = 0; rank < size(); ++rank) {
    shares_.push_back(files.share_of_rank(rank));
    const int64_t columns = shares_.back().expert_inner.size();
    if (columns % kExpertUnit != 0)
      throw Failure({ErrorCode::kUnsupported, "--tensor-parallel-size",
                     fmt::format("rank {} of {} would hold {} columns of each expert, GPUs take multiples of {}", rank,
                                 size(), columns, kExpertUnit),
                     "choose fewer ranks"});
  }
}

int64_t CudaRanks::most_heads() const {
  return std::ranges::max(shares_, {}, [](const RankShare& s) { return s.heads.size(); }).heads.size();
}

int64_t CudaRanks::most_vocab() const {
  return std::ranges::max(shares_, {}, [](const RankShare& s) { return s.vocab.size(); }).vocab.size();
}

void CudaRanks::prepare(int64_t decodes) {
  nan_sequences_ = DeviceArray<int32_t>(size() * decodes);
  pages_ = DeviceArray<unsigned long long>(size() * decodes);
  if (!share().shares_rows()) return;
  gathered_queries_ = DeviceArray<bf16>(size() * decodes * most_heads() * whole().head_dim);
  rows_ = DeviceArray<bf16>(decodes * row_heads() * whole().head_dim);
}

void CudaRanks::reserve_logits(int64_t rows) {
  logit_part_ = DeviceArray<float>(rows * most_vocab());
  gathered_logits_ = DeviceArray<float>(size() * rows * most_vocab());
}

int64_t CudaRanks::bytes(int64_t decodes, int64_t rows) const {
  const int64_t heads = share().shares_rows() ? size() * most_heads() + row_heads() : 0;
  return bytes_of((size() + 1) * rows * most_vocab(), sizeof(float)) +
         bytes_of(decodes * heads * whole().head_dim, sizeof(bf16));
}

/// Parts are as large as the largest, so that all ranks send as much: heads of ranks differ by one at most, and what a
/// rank sends beyond its own is not looked at.
const bf16* CudaRanks::whole_rows(const bf16* q, int64_t decodes, cudaStream_t stream) {
  const RankShare& own = share();
  if (!own.shares_rows()) return q;
  const int64_t dim = whole().head_dim, part = decodes * most_heads() * dim, stride = row_heads() * dim;
  device_->all_gather(q, bytes_of(part, sizeof(bf16)), gathered_queries_.data(), stream);
  bf16* to = rows_.data();
  const int first = own.rank / own.replicas * own.replicas;
  for (int rank = first; rank < first + own.replicas; ++rank) {
    const int64_t width = shares_[static_cast<size_t>(rank)].heads.size() * dim;
    copy_columns(gathered_queries_.data() + rank * part, width, decodes, to, stride, stream);
    to += width;
  }
  return rows_.data();
}

void CudaRanks::gather_logits(int64_t rows, float* logits, cudaStream_t stream) {
  const int64_t part = rows * most_vocab();
  device_->all_gather(logit_part_.data(), bytes_of(part, sizeof(float)), gathered_logits_.data(), stream);
  if (!leads()) return;
  for (const RankShare& rank : shares_)
    copy_columns(gathered_logits_.data() + rank.rank * part, rank.vocab.size(), rows, logits + rank.vocab.begin,
                 whole().vocab_size, stream);
}

void CudaRanks::gather_reports(const int32_t* nan_sequences, const unsigned long long* pages, int64_t decodes,
                               cudaStream_t stream) {
  device_->all_gather(nan_sequences, bytes_of(decodes, sizeof *nan_sequences), nan_sequences_.data(), stream);
  if (pages != nullptr) device_->all_gather(pages, bytes_of(decodes, sizeof *pages), pages_.data(), stream);
}

}  // namespace vortex::cuda

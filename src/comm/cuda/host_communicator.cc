// Sums of GPUs on the host.
#include <algorithm>
#include <vector>

#include "comm/cuda/device_communicator.h"
#include "device/cuda/memory.h"

namespace vortex::cuda {
namespace {

class HostCommunicator final : public DeviceCommunicator {
 public:
  explicit HostCommunicator(comm::Communicator* ranks) : ranks_(ranks) {}

  bool capturable() const override { return false; }

  void all_reduce_sum(const float* part, float* sum, int64_t n, cudaStream_t stream) override {
    const int64_t bytes = n * static_cast<int64_t>(sizeof(float));
    std::byte* staged = to_host(part, bytes, 0, stream);
    keep(ranks_->all_reduce_sum({reinterpret_cast<float*>(staged), static_cast<size_t>(n)}));
    to_device(staged, bytes, sum, stream);
  }

  void all_gather(const void* part, int64_t bytes, void* out, cudaStream_t stream) override {
    const int64_t all = bytes * ranks_->size();
    const std::byte* own = to_host(part, bytes, all, stream);
    const std::vector<int64_t> sizes(static_cast<size_t>(ranks_->size()), bytes);
    std::byte* gathered = staging_.data() + bytes;
    keep(ranks_->all_gather({own, static_cast<size_t>(bytes)}, sizes, gathered));
    to_device(gathered, all, out, stream);
  }

  void broadcast(void* data, int64_t bytes, cudaStream_t stream) override {
    std::byte* staged = to_host(data, bytes, 0, stream);
    message_.assign(staged, staged + bytes);
    keep(ranks_->broadcast(&message_));
    std::ranges::copy(message_, staged);
    to_device(staged, bytes, data, stream);
  }

  std::unique_lock<std::timed_mutex> hold() override {
    if (!status_.ok()) throw Failure(status_.error());
    return {};
  }
  Status status() const override { return status_; }

 private:
  /// In pinned memory with `more` bytes of room behind it.
  std::byte* to_host(const void* from, int64_t bytes, int64_t more, cudaStream_t stream) {
    if (staging_.size() < bytes + more) staging_ = PinnedArray<std::byte>(bytes + more);
    VORTEX_CUDA_CHECK(
        cudaMemcpyAsync(staging_.data(), from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream));
    VORTEX_CUDA_CHECK(cudaStreamSynchronize(stream));
    return staging_.data();
  }

  /// Waits, as the next operation writes to the same memory.
  static void to_device(const std::byte* from, int64_t bytes, void* to, cudaStream_t stream) {
    VORTEX_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream));
    VORTEX_CUDA_CHECK(cudaStreamSynchronize(stream));
  }

  void keep(Status status) {
    if (status.ok()) return;
    status_ = std::move(status);
    throw Failure(status_.error());
  }

  comm::Communicator* const ranks_;
  PinnedArray<std::byte> staging_;
  std::vector<std::byte> message_;
  Status status_;
};

}  // namespace

std::unique_ptr<DeviceCommunicator> host_communicator(comm::Communicator* ranks) {
  return std::make_unique<HostCommunicator>(ranks);
}

}  // namespace vortex::cuda

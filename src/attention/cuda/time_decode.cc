#include "attention/cuda/time_decode.h"

#include <algorithm>
#include <vector>

#include "attention/cuda/attention.h"
#include "attention/decode_case.h"
#include "device/cuda/stream.h"
#include "device/cuda/timing.h"
#include "tensor/half.h"

namespace vortex::cuda {
namespace {

using attention::DecodeCase;
using attention::DecodeTask;
using attention::DecodeTiming;

constexpr int kLayers = 8;                        // of a graph
constexpr int64_t kColdBytes = int64_t{1} << 30;  // that layers store together, so that the L2 cache does not hold it
constexpr double kTolerance = 1e-2;               // outputs are bfloat16

DeviceArray<std::byte> fill(int64_t bytes) {
  const std::vector<uint16_t> noise = attention::noise_block();
  const auto block = static_cast<int64_t>(2 * noise.size());
  DeviceArray<std::byte> out(bytes);
  for (int64_t at = 0; at < bytes; at += block)
    VORTEX_CUDA_CHECK(cudaMemcpy(out.data() + at, noise.data(), static_cast<size_t>(std::min(block, bytes - at)),
                                 cudaMemcpyHostToDevice));
  return out;
}

class DecodeBench {
 public:
  explicit DecodeBench(const DecodeTask& task)
      : task_(task),
        made_(task),
        field_bytes_(task.stored_bytes() / task.fields()),
        copies_(std::clamp<int64_t>(kColdBytes / task.stored_bytes(), 1, kLayers)),
        stream_(make_stream()) {
    for (int f = 0; f < task.fields(); ++f) fields_.push_back(fill(copies_ * field_bytes_));
    std::vector<uint16_t> queries;
    for (float x : made_.queries()) queries.push_back(f32_to_bf16(x));
    queries_ = to_device(std::span<const uint16_t>(queries));
    out_ = DeviceArray<uint16_t>(int64_t{task.rows()} * task.group * task.value_dim());
    make_step();
    make_scratch();
  }

  Result<DecodeTiming> run() {
    VORTEX_RETURN_IF_ERROR(check_layer(layer(0), task_.page_tokens));
    decode(0);
    VORTEX_CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    DecodeTiming timing;
    VORTEX_ASSIGN_OR_RETURN(
        timing.error, made_.compare(outputs(), kTolerance, [&](int field, PageId page, std::byte* to) {
          const std::byte* from = fields_[static_cast<size_t>(field)].data();
          VORTEX_CUDA_CHECK(cudaMemcpy(to, from + page * task_.page_bytes(), static_cast<size_t>(task_.page_bytes()),
                                       cudaMemcpyDeviceToHost));
        }));
    const Graph graph = capture(stream_.get(), [&] {
      for (int i = 0; i < kLayers; ++i) decode(i);
    });
    timing.us =
        median_us(stream_.get(), [&] { VORTEX_CUDA_CHECK(cudaGraphLaunch(graph.get(), stream_.get())); }) / kLayers;
    timing.copy_gb_per_s = 1e-3 * copy_rate(stream_.get(), task_.copy_bytes);
    return timing;
  }

 private:
  void make_step() {
    std::vector<int32_t> tables(made_.tables().begin(), made_.tables().end());
    const SequencePlan& first = made_.step().sequences.front();
    const auto each = [&](int32_t value) { return std::vector<int32_t>(static_cast<size_t>(task_.batch), value); };
    for (const std::vector<int32_t>& values :
         {tables, each(first.tokens), each(first.pages), each(first.selected), each(first.last_tokens)})
      arrays_.push_back(to_device(std::span<const int32_t>(values)));
    step_.tables = arrays_[0].data();
    step_.table_stride = task_.context_pages();
    step_.tokens = arrays_[1].data();
    step_.pages = arrays_[2].data();
    step_.selected = arrays_[3].data();
    step_.last_tokens = arrays_[4].data();
    step_.decodes = task_.batch;
    step_.kv_heads = task_.kv_heads;
    step_.page_tokens = task_.page_tokens;
  }

  /// The lists of the step; a sparse one gets the pages that the case has chosen.
  void make_scratch() {
    int multiprocessors = 0;
    VORTEX_CUDA_CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
    scratch_ = std::make_unique<AttentionScratch>(AttentionScratch::Limits{.sequences = task_.batch,
                                                                           .max_length = task_.context,
                                                                           .kv_heads = task_.kv_heads,
                                                                           .group = task_.group,
                                                                           .page_tokens = task_.page_tokens,
                                                                           .value_dim = task_.value_dim(),
                                                                           .sparse = task_.pages > 0,
                                                                           .multiprocessors = multiprocessors});
    scratch_->plan_step(step_, stream_.get());
    VORTEX_CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    for (int row = 0; row < task_.rows() && task_.pages > 0; ++row) {
      const auto pages = made_.list().row(row);
      VORTEX_CUDA_CHECK(cudaMemcpy(list().pages + int64_t{row} * list().stride, pages.data(), pages.size_bytes(),
                                   cudaMemcpyHostToDevice));
    }
  }

  ListView list() const { return task_.pages > 0 ? scratch_->lists().selected : scratch_->lists().all; }
  FieldPointer field(size_t index, int64_t copy) const {
    return {reinterpret_cast<unsigned char*>(fields_[index].data()) + copy * field_bytes_, task_.page_bytes()};
  }
  AttentionLayer layer(int index) const {
    return {.k = field(0, index % copies_),
            .v = task_.fields() == 2 ? field(1, index % copies_) : FieldPointer(),
            .head_dim = task_.head_dim,
            .value_dim = task_.value_dim(),
            .latent = task_.latent_rank > 0,
            .group = task_.group,
            .scale = task_.scale};
  }
  void decode(int index) {
    scratch_->decode(layer(index), step_, list(), reinterpret_cast<const __nv_bfloat16*>(queries_.data()),
                     reinterpret_cast<__nv_bfloat16*>(out_.data()), stream_.get());
  }
  std::vector<float> outputs() const {
    std::vector<uint16_t> bits(static_cast<size_t>(out_.size()));
    VORTEX_CUDA_CHECK(cudaMemcpy(bits.data(), out_.data(), bits.size() * 2, cudaMemcpyDeviceToHost));
    std::vector<float> out;
    for (uint16_t x : bits) out.push_back(bf16_to_f32(x));
    return out;
  }

  const DecodeTask task_;
  const DecodeCase made_;
  const int64_t field_bytes_, copies_;
  const Stream stream_;
  std::vector<DeviceArray<std::byte>> fields_;
  std::vector<DeviceArray<int32_t>> arrays_;
  DeviceArray<uint16_t> queries_, out_;
  StepView step_;
  std::unique_ptr<AttentionScratch> scratch_;
};

}  // namespace

Result<DecodeTiming> time_decode(const DecodeTask& task) {
  return guard([&]() -> Result<DecodeTiming> { return DecodeBench(task).run(); });
}

}  // namespace vortex::cuda

// For tests: every implementation this machine can run, each on threads of its own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "attention/cpu/cpu_attention_ops.h"
#include "base/worker_pool.h"

namespace vortex::attention {

struct Backend {
  std::string name;
  std::function<std::unique_ptr<AttentionOps>()> make;
};

/// On a pool of its own.
class PooledOps final : public AttentionOps {
 public:
  PooledOps(Isa isa, int threads) : pool_(threads), ops_(make_cpu_attention_ops(&pool_, isa)) {}
  void store(const PageView& view, const TokenSlice& slice, const float* k, const float* v, int64_t stride) override {
    ops_->store(view, slice, k, v, stride);
  }
  void load(const PageView& view, const TokenSlice& slice, int cols, float* out) override {
    ops_->load(view, slice, cols, out);
  }
  void prefill(const PageView& view, const TokenSlice& slice, const AttentionShape& shape, const float* q,
               int64_t q_stride, float* out, int64_t out_stride) override {
    ops_->prefill(view, slice, shape, q, q_stride, out, out_stride);
  }
  void prefill_expanded(const PageView& view, const TokenSlice& slice, const AttentionShape& shape,
                        const ExpandedHeads& expanded, const float* q, int64_t q_stride, float* out,
                        int64_t out_stride) override {
    ops_->prefill_expanded(view, slice, shape, expanded, q, q_stride, out, out_stride);
  }
  void decode(const PageView& view, const PageList& list, const AttentionShape& shape, const float* q,
              float* out) override {
    ops_->decode(view, list, shape, q, out);
  }

 private:
  WorkerPool pool_;
  std::unique_ptr<AttentionOps> ops_;
};

inline std::vector<Isa> available_isas() { return vortex::available_isas(cpu_features()); }

inline std::vector<Backend> backends() {
  std::vector<Backend> all = {{"ref", make_ref_attention_ops}};
  for (const Isa isa : available_isas())
    all.push_back({std::string(isa_name(isa)), [isa] { return std::make_unique<PooledOps>(isa, 3); }});
  return all;
}

}  // namespace vortex::attention

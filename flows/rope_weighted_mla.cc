// rope_aware_block_sparse_mla with the two parts of a latent weighted: content (the compressed keys) and position (the
// rotary key). One file for the family, whose members differ by two numbers.
// Paper: none, the original system's study of what positions tell a selector.
// Cost: width numbers a page. Use: a study; rope_weighted_block_sparse_mla_b50 ranks as rope_aware_block_sparse_mla.
#include <vortex/flow.h>

class WeightedMla : public vortex::FlowMLA {
 public:
  WeightedMla(float content, float position) : content_(content), position_(position) {}

  Fields create_cache(const LatentShape& s) override {
    rank_ = s.kv_lora_rank;
    return {{"centroids", {1, s.width()}}};
  }

  void forward_cache(CacheScope& c) override { c.write("centroids", mean(c["latent"], 1)); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor query = mean(q, 1);
    const Tensor weighted = multiply(query, mask_slice(query, 0, rank_, 2, content_, position_));
    return top_k(gemm(weighted, c["centroids"]));
  }

 private:
  const float content_, position_;
  int rank_ = 0;
};

struct RopeUnawareMla : WeightedMla {
  RopeUnawareMla() : WeightedMla(1.0f, 0.0f) {}
};

/// `position` in percent, the rest for content.
template <int kPosition>
struct RopeWeightedMla : WeightedMla {
  RopeWeightedMla() : WeightedMla((100 - kPosition) / 100.0f, kPosition / 100.0f) {}
};
using RopeWeighted10 = RopeWeightedMla<10>;
using RopeWeighted25 = RopeWeightedMla<25>;
using RopeWeighted50 = RopeWeightedMla<50>;
using RopeWeighted75 = RopeWeightedMla<75>;
using RopeWeighted90 = RopeWeightedMla<90>;
using RopeWeighted100 = RopeWeightedMla<100>;

VORTEX_FLOW("rope_unaware_block_sparse_mla", RopeUnawareMla)
VORTEX_FLOW("rope_weighted_block_sparse_mla_b10", RopeWeighted10)
VORTEX_FLOW("rope_weighted_block_sparse_mla_b25", RopeWeighted25)
VORTEX_FLOW("rope_weighted_block_sparse_mla_b50", RopeWeighted50)
VORTEX_FLOW("rope_weighted_block_sparse_mla_b75", RopeWeighted75)
VORTEX_FLOW("rope_weighted_block_sparse_mla_b90", RopeWeighted90)
VORTEX_FLOW("rope_weighted_block_sparse_mla_b100", RopeWeighted100)

// Centroid and spread over latents: the mean and the standard deviation per channel give a soft bound of the best logit
// of a page under each head; the best head counts.
// Paper: none, our own; between Quest's bound (Tang et al., 2024) and a centroid. Cost: 2 width numbers a page.
// Use: as quest_mla, where single outliers make its bounds loose.
#include <vortex/flow.h>

struct MeanStdMla : vortex::FlowMLA {
  static constexpr float kSpread = 2.0f;  // standard deviations

  Fields create_cache(const LatentShape& s) override { return {{"mean", {1, s.width()}}, {"spread", {1, s.width()}}}; }

  void forward_cache(CacheScope& c) override {
    c.write("mean", mean(c["latent"], 1));
    c.write("spread", std_dev(c["latent"], 1));
  }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor centre = gemm(q, c["mean"]), reach = gemm(abs(q), c["spread"]);
    return top_k(max(add(centre, reach, 1.0f, kSpread), 2));
  }
};

VORTEX_FLOW("mean_std_mla", MeanStdMla)

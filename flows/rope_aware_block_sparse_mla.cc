// Centroids over latents: the mean latent stands for the page, the mean of the heads' absorbed queries asks.
// Paper: MoBA, Mixture of Block Attention (Lu et al., 2025), without its training; latents are those of DeepSeek-V2
// (2024). Cost: width numbers a page. Use: the cheapest selector over latents; loses single tokens that stand out.
#include <vortex/flow.h>

struct RopeAwareMla : vortex::FlowMLA {
  Fields create_cache(const LatentShape& s) override { return {{"centroids", {1, s.width()}}}; }

  void forward_cache(CacheScope& c) override { c.write("centroids", mean(c["latent"], 1)); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override { return top_k(gemm(mean(q, 1), c["centroids"])); }
};

VORTEX_FLOW("rope_aware_block_sparse_mla", RopeAwareMla)

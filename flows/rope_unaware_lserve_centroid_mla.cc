// lserve_centroid_mla without positions: only the part of the query that meets compressed keys asks.
// Paper: as lserve_centroid_mla; the mask is the original system's study of what positions tell a selector.
// Cost: width numbers per 16 tokens. Use: a study; the page size is a multiple of 16.
#include <vortex/flow.h>

struct RopeUnawareLserveCentroidMla : vortex::FlowMLA {
  static constexpr int kSubPage = 16;
  int rank = 0;

  Fields create_cache(const LatentShape& s) override {
    rank = s.kv_lora_rank;
    return {{"centroids", {s.page_tokens / kSubPage, s.width()}}};
  }

  void forward_cache(CacheScope& c) override { c.write("centroids", mean_interleave(c["latent"], 1, kSubPage)); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor query = mean(q, 1), content = multiply(query, mask_slice(query, 0, rank, 2));
    return top_k(max(gemm(content, c["centroids"]), 1));
  }
};

VORTEX_FLOW("rope_unaware_lserve_centroid_mla", RopeUnawareLserveCentroidMla)

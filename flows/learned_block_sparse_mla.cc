// Learned query: the heads' absorbed queries, projected by trained weights to one vector, against the mean latent.
// Paper: none, the original system's experiment. Weights: the parameter `compressor`, [width, heads * width] a layer
// (docs/flow-language.md); without them the vector is the sum of the queries.
// Cost: width numbers a page, and a product with the weights for each sequence. Use: with weights trained for the
// model.
#include <vortex/flow.h>

struct LearnedMla : vortex::FlowMLA {
  int width = 0;

  Fields create_cache(const LatentShape& s) override {
    width = s.width();
    return {{"centroids", {1, width}}};
  }

  void forward_cache(CacheScope& c) override { c.write("centroids", mean(c["latent"], 1)); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    return top_k(gemm(project(q, "compressor", 1, width), c["centroids"]));
  }
};

VORTEX_FLOW("learned_block_sparse_mla", LearnedMla)

// Block-sparse attention weighted by how much the page's values can add: the mean norm of its tokens' values.
// Paper: the original system's example of a field made from the values.
// Cost: head_dim + 1 numbers a page. Use: models with many near-zero values (attention sinks inside the text).
#include <vortex/flow.h>

struct ValueEnergy : vortex::Flow {
  Fields create_cache(const PageShape& s) override { return {{"centroids", {1, s.head_dim}}, {"v_energy", {1, 1}}}; }

  void forward_cache(CacheScope& c) override {
    c.write("centroids", mean(c["k"], 1));
    c.write("v_energy", mean(l2norm(c["v"], 2), 1));
  }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    return top_k(multiply(gemm(mean(q, 1), c["centroids"]), c["v_energy"]));
  }
};

VORTEX_FLOW("venergy_gated_centroid", ValueEnergy)

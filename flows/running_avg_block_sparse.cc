// Block-sparse attention with memory: a page's score decays by half a step, so pages that mattered stay a while.
// Paper: H2O (Zhang et al., 2023) has the idea of accumulated scores; the original system's example of Load and Save.
// Cost: head_dim + 1 numbers a page, one of them written each step. Use: generations that return to the same passage.
#include <vortex/flow.h>

struct RunningAverage : vortex::Flow {
  static constexpr float kDecay = 0.5f;

  Fields create_cache(const PageShape& s) override {
    return {{"centroids", {1, s.head_dim}}, {"running_score", {1, 1}}};
  }

  void forward_cache(CacheScope& c) override {
    c.write("centroids", mean(c["k"], 1));
    c.fill("running_score", 0.0f);
  }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor now = gemm(mean(q, 1), c["centroids"]);
    const Tensor score = add(c.load("running_score"), now, kDecay, 1.0f);
    c.save("running_score", score);
    return top_k(score);
  }
};

VORTEX_FLOW("running_avg_block_sparse", RunningAverage)

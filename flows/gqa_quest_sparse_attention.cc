// Quest: per channel the largest and smallest key of a page bound the best logit any of its tokens can reach.
// Paper: Quest, Query-Aware Sparsity for Efficient Long-Context LLM Inference (Tang et al., 2024).
// Cost: 2 head_dim numbers a page. Use: retrieval of single tokens, where a centroid blurs them.
#include <vortex/flow.h>

struct GqaQuest : vortex::Flow {
  Fields create_cache(const PageShape& s) override { return {{"max", {1, s.head_dim}}, {"min", {1, s.head_dim}}}; }

  void forward_cache(CacheScope& c) override {
    c.write("max", max(c["k"], 1));
    c.write("min", min(c["k"], 1));
  }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor bound = maximum(multiply(q, c["max"]), multiply(q, c["min"]));
    return top_k(max(sum(bound, 2), 1));
  }
};

VORTEX_FLOW("gqa_quest_sparse_attention", GqaQuest)

// Quest without the first 8 channels, which rotary embeddings turn fastest and which say least about content.
// Paper: Quest (Tang et al., 2024); the mask is the original system's example of MaskSlice.
// Cost: 2 head_dim numbers a page. Use: a study of which channels matter. head_dim is at least 8.
#include <vortex/flow.h>

struct MaskedQuest : vortex::Flow {
  static constexpr int kMaskEnd = 8;

  Fields create_cache(const PageShape& s) override { return {{"max", {1, s.head_dim}}, {"min", {1, s.head_dim}}}; }

  void forward_cache(CacheScope& c) override {
    c.write("max", max(c["k"], 1));
    c.write("min", min(c["k"], 1));
  }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor bound = maximum(multiply(q, c["max"]), multiply(q, c["min"]));
    const Tensor masked = multiply(bound, mask_slice(bound, 0, kMaskEnd, 2, 0.0f, 1.0f));
    return top_k(max(sum(masked, 2), 1));
  }
};

VORTEX_FLOW("masked_quest_sparse_attention", MaskedQuest)

// Quest over latents: per channel the largest and smallest of each 16 latents bound the best logit any of them can
// reach; best sub-page, best head.
// Paper: Quest (Tang et al., 2024) for the bound, LServe (Yang et al., 2025) for the sub-pages.
// Cost: 2 width numbers per 16 tokens. Use: retrieval of single tokens, where a centroid blurs them. The page size is a
// multiple of 16.
#include <vortex/flow.h>

struct QuestMla : vortex::FlowMLA {
  static constexpr int kSubPage = 16;

  Fields create_cache(const LatentShape& s) override {
    const int parts = s.page_tokens / kSubPage;
    return {{"max", {parts, s.width()}}, {"min", {parts, s.width()}}};
  }

  void forward_cache(CacheScope& c) override {
    c.write("max", max_interleave(c["latent"], 1, kSubPage));
    c.write("min", min_interleave(c["latent"], 1, kSubPage));
  }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor bound = maximum(kron(q, c["max"], {1}), kron(q, c["min"], {1}));
    return top_k(max(sum(bound, 2), 1));
  }
};

VORTEX_FLOW("quest_mla", QuestMla)

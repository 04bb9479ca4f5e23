// Quest on sub-pages: bounds of the keys per channel for each four tokens, best sub-page, best head.
// Paper: Quest (Tang et al., 2024) for the bound. Cost: 2 head_dim numbers per four tokens, four times Quest's at pages
// of 16. Use: accuracy above Quest where memory is no concern; a sketch does better for less.
#include <vortex/flow.h>

struct QuestSubpage : vortex::Flow {
  static constexpr int kTokens = 4;

  Fields create_cache(const PageShape& s) override {
    return {{"max", {s.page_tokens / kTokens, s.head_dim}}, {"min", {s.page_tokens / kTokens, s.head_dim}}};
  }

  void forward_cache(CacheScope& c) override {
    c.write("max", max_interleave(c["k"], 1, kTokens));
    c.write("min", min_interleave(c["k"], 1, kTokens));
  }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor bound = maximum(kron(q, c["max"], {1}), kron(q, c["min"], {1}));
    return top_k(max(sum(bound, 2), 1));
  }
};

VORTEX_FLOW("quest_subpage", QuestSubpage)

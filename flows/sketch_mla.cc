// Sketches of latents: every channel of the rotated latents at one or two bits, and a scale a token. A page scores
// under each head as its best token does among the pages (a softmax, so that no head outvoices the others); its best
// head counts. One file for both, which differ by the bits. Paper: none, our own; the rotation is that of QuIP# (Tseng
// et al., 2024), one bit is SimHash (Charikar, 2002), two bits have the levels of Max (1960). Cost: width bits, or 2
// width, and 2 bytes a token: at pages of 32 a Quest bound of 16 tokens costs as much as one bit. Use: first choice for
// latents; the error of one bit falls with the root of the width, so that a few pages at one bit have dense accuracy.
#include <vortex/flow.h>

class SketchMla : public vortex::FlowMLA {
 public:
  explicit SketchMla(const char* storage) : storage_(storage) {}

  Fields create_cache(const LatentShape& s) override {
    scale_ = s.scale;
    return {{"sketch", {s.page_tokens, s.width(), storage_}}};
  }

  void forward_cache(CacheScope& c) override { c.write("sketch", rotate(c["latent"])); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor best_token = max(gemm(rotate(q), c["sketch"]), 1);
    return top_k(max(softmax(best_token, 0, scale_), 2));
  }

 private:
  const char* const storage_;
  float scale_ = 1.0f;
};

struct Sketch1Mla : SketchMla {
  Sketch1Mla() : SketchMla("int1") {}
};
struct Sketch2Mla : SketchMla {
  Sketch2Mla() : SketchMla("int2") {}
};

VORTEX_FLOW("sketch1_mla", Sketch1Mla)
VORTEX_FLOW("sketch2_mla", Sketch2Mla)

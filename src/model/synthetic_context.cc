#include "model/synthetic_context.h"

#include <algorithm>
#include <random>
#include <vector>

#include "flow/flow.h"

namespace vortex::model {
namespace {

constexpr int64_t kTokensAtOnce = 256;
constexpr size_t kStride = 7919;  // a prime: every window of the noise differs

std::vector<float> make_noise(size_t n) {
  std::mt19937 random(1);  // the same numbers with every library, which no distribution of it promises
  std::vector<float> noise(n);
  for (float& x : noise) x = static_cast<float>(static_cast<double>(random()) * 0x1p-31 - 1.0);
  return noise;
}

}  // namespace

void fill_synthetic_context(std::span<const SlabId> table, int64_t count, std::span<const PageView> layers, bool latent,
                            const Sparsity& sparsity, attention::AttentionOps* attention) {
  const PageView& first = layers.front();
  const int64_t width = int64_t{first.kv_heads} * first.fields[0].cols;
  const auto window = static_cast<size_t>(kTokensAtOnce * width);
  const std::vector<float> noise = make_noise(window + kStride * 64);
  Batch batch;
  batch.slices.push_back({table, 0, count});
  std::vector<PageId> full_pages;
  list_completed_pages(batch, first, &full_pages);
  size_t turn = 0;
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    for (int64_t token = 0; token < count; token += kTokensAtOnce) {
      const float* k = noise.data() + turn++ % 64 * kStride;
      const float* v = latent ? nullptr : noise.data() + turn++ % 64 * kStride;
      attention->store(layers[layer], {table, token, std::min(kTokensAtOnce, count - token)}, k, v, width);
    }
    if (sparsity.flow != nullptr && sparsity.layers[layer]) sparsity.flow->update(layers[layer], full_pages);
  }
}

}  // namespace vortex::model

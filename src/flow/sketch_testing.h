// Sketches by their definition in double, for tests: the rotation, the codes, the votes of sketch flows.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "flow/flow_testing.h"

namespace vortex::flow {

using Vector = std::vector<double>;
/// The language's rotation by its definition: signs by a mixed counter, then for each power-of-two block of the width,
/// largest first, the orthonormal Walsh-Hadamard matrix: entry (i, j) is (-1)^popcount(i & j) / sqrt(n).
inline Vector rotated(const Vector& x) {
  Vector signs(x.size()), out(x.size(), 0.0);
  for (size_t i = 0; i < x.size(); ++i) {
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    signs[i] = ((z ^ (z >> 31)) & 1) != 0 ? -1 : 1;
  }
  for (size_t begin = 0, size = 0; begin < x.size(); begin += size) {
    for (size = 1; 2 * size <= x.size() - begin;) size *= 2;
    for (size_t i = 0; i < size; ++i)
      for (size_t j = 0; j < size; ++j)
        out[begin + i] += (__builtin_popcountll(i & j) % 2 == 0 ? 1 : -1) * signs[begin + j] * x[begin + j] /
                          std::sqrt(static_cast<double>(size));
  }
  return out;
}

/// Sketched values of one token: codes by the Gaussian's best step (any for one bit), the step that fits them best,
/// stored in bfloat16.
inline Vector sketched(const Vector& x, int bits) {
  double squares = 0, xc = 0, cc = 0;
  for (double v : x) squares += v * v / static_cast<double>(x.size());
  const double first = 0.9957 * std::sqrt(squares), half = bits == 1 ? 1 : 2;
  Vector out;
  for (double v : x) out.push_back(std::clamp(std::floor(v / first), -half, half - 1) + 0.5);
  for (size_t i = 0; i < x.size(); ++i) {
    xc += x[i] * out[i];
    cc += out[i] * out[i];
  }
  for (double& c : out) c *= round_to_bf16(static_cast<float>(xc / cc));
  return out;
}

inline Vector query_of(const World& world, int row, int head) {
  const float* q = world.query(row) + head * world.shape.head_dim;
  return {q, q + world.shape.head_dim};
}

/// The query as products with codes read it.
inline Vector to_eight_bits(Vector x) {
  double largest = 0;
  for (double v : x) largest = std::max(largest, std::abs(v));
  for (double& v : x) v = std::nearbyint(v / (largest / 127)) * (largest / 127);
  return x;
}

inline double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

inline Vector token_of(const World& world, const std::vector<float>& k, int t) {
  const int d = world.shape.head_dim;
  return {k.begin() + t * d, k.begin() + (t + 1) * d};
}

inline int scored_pages(const World& world, int row) { return world.sequence(row).pages - world.shape.eos; }

/// Estimated logits q . k of a page, [head][token].
inline std::vector<Vector> estimates(const World& world, int row, int page, int bits) {
  const std::vector<float> k = world.field(0, world.page(row, page));
  std::vector<Vector> tokens, out;
  for (int t = 0; t < world.shape.page_tokens; ++t) tokens.push_back(sketched(rotated(token_of(world, k, t)), bits));
  for (int h = 0; h < world.shape.group; ++h) {
    const Vector q = to_eight_bits(rotated(query_of(world, row, h)));
    Vector& logits = out.emplace_back();
    for (const Vector& token : tokens) logits.push_back(dot(q, token));
  }
  return out;
}

/// Best token, then the head's softmax over the middle pages, then the best head. What leaves a group is rounded.
inline Vector sketch_max(const World& world, int row, int bits, DType dtype = DType::kF32) {
  const int n = scored_pages(world, row), bos = world.shape.bos;
  const auto round = [&](double x) { return double{rounded(dtype, static_cast<float>(x))}; };
  const double scale = world.shape.graph().logit_scale();
  Vector out(static_cast<size_t>(n), 0.0), total(static_cast<size_t>(world.shape.group), 0.0);
  std::vector<Vector> best;  // [page][head], as exponentials
  for (int j = 0; j < n; ++j) {
    Vector& page = best.emplace_back();
    for (const Vector& logits : estimates(world, row, j, bits))
      page.push_back(std::exp(scale * round(*std::max_element(logits.begin(), logits.end()))));
    for (size_t h = 0; j >= bos && h < page.size(); ++h) total[h] += page[h];
  }
  for (size_t j = 0; j < best.size(); ++j)
    for (size_t h = 0; h < total.size(); ++h) out[j] = std::max(out[j], round(best[j][h] / total[h]));
  return out;
}

}  // namespace vortex::flow

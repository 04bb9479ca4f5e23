// For tests of the output operators: a flow whose scores are what a test writes into its fields.
#pragma once

#include <functional>
#include <utility>

#include "vortex/flow.h"

namespace vortex::flow {

/// The output of a flow over two scores.
using Ending = std::function<Score(const Tensor& a, const Tensor& b)>;

/// Two fields of one number a page are the scores.
struct Probe : Flow {
  Ending ending;
  explicit Probe(Ending end) : ending(std::move(end)) {}
  Fields create_cache(const PageShape&) override { return {{"a", {1, 1, "float32"}}, {"b", {1, 1, "float32"}}}; }
  void forward_cache(CacheScope& c) override {
    c.fill("a", 0);
    c.fill("b", 0);
  }
  Score forward_indexer(const Tensor&, IndexerScope& c) override { return ending(c.load("a"), c.load("b")); }
};

}  // namespace vortex::flow

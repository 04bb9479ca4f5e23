// Every mistake an author can make, with the whole of what is said: the operator, the shapes, the line, what to do.
#include <gtest/gtest.h>

#include <functional>

#include "flow/frontend/trace.h"
#include "vortex/flow.h"

namespace vortex::flow {
namespace {

int g_line = 0;                          // of the mistake in this file; 0: the flow as a whole
#define NEXT_LINE g_line = __LINE__ + 1  // marks the line after it

/// A flow of three functions; each row below spoils one.
struct Probe : Flow {
  std::function<Fields()> fields = [] { return Fields{{"c", {1, 64}}}; };
  std::function<void(CacheScope&)> cache = [](CacheScope& c) { c.write("c", mean(c["k"], 1)); };
  std::function<Score(const Tensor&, IndexerScope&)> indexer = [](const Tensor& q, IndexerScope& c) {
    return top_k(gemm(mean(q, 1), c["c"]));
  };

  Fields create_cache(const PageShape&) override { return fields(); }
  void forward_cache(CacheScope& c) override { cache(c); }
  Score forward_indexer(const Tensor& q, IndexerScope& c) override { return indexer(q, c); }
};

struct Row {
  const char* message;
  const char* hint;  // null: has a place of this file in it
  std::function<void(Probe&)> spoil;
};

using Cache = Flow::CacheScope;
using Indexer = Flow::IndexerScope;

/// Rows whose mistake is one operator of forward_indexer: the score is made of what `op` returns.
Row in_indexer(const char* message, const char* hint, std::function<Tensor(const Tensor&, Indexer&)> op) {
  return {message, hint, [=](Probe& p) { p.indexer = [=](const Tensor& q, Indexer& c) { return top_k(op(q, c)); }; }};
}
Row in_cache(const char* message, const char* hint, std::function<Tensor(Cache&)> op) {
  return {message, hint, [=](Probe& p) { p.cache = [=](Cache& c) { c.write("c", op(c)); }; }};
}
Row in_fields(const char* message, const char* hint, const Fields& fields) {
  return {message, hint, [=](Probe& p) {
            g_line = 0;
            p.fields = [=] { return fields; };
          }};
}

const char* const kReduceHint = "reduce the inner axes, for instance with Max(1) and Max(2)";

void expect_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    SCOPED_TRACE(row.message);
    Probe probe;
    row.spoil(probe);
    const auto graph = trace(probe, "probe", {4, 64, 16});
    ASSERT_FALSE(graph.ok());
    EXPECT_EQ(graph.error().message, row.message);
    EXPECT_EQ(graph.error().hint, row.hint != nullptr ? row.hint : graph.error().hint);
    const std::string place = g_line > 0 ? "trace_errors_test.cc:" + std::to_string(g_line) + ":" : "probe";
    EXPECT_NE(graph.error().where.find(place), std::string::npos) << graph.error().to_string();
  }
}

TEST(TraceErrors, Shapes) {
  expect_rows({
      in_indexer("GeMM(batched [1, 4, 1], paged [S, 1, 64]): last axes must be equal: out = y times x transposed", "",
                 [](const Tensor& q, Indexer& c) {
                   const Tensor wrong = mean(q, 2);
                   NEXT_LINE;
                   return gemm(wrong, c["c"]);
                 }),
      in_indexer("GeMV(batched [1, 4, 64], paged [S, 1, 64]): middle axes must be 1", "use GeMM",
                 [](const Tensor& q, Indexer& c) {
                   NEXT_LINE;
                   return gemv(q, c["c"]);
                 }),
      in_indexer("Add(ragged [S, 1, 4], paged [S, 1, 64]): inner axes must be equal or 1", "",
                 [](const Tensor& q, Indexer& c) {
                   const Tensor score = gemm(q, c["c"]);
                   NEXT_LINE;
                   return add(score, c["c"]);
                 }),
      in_indexer("Kron(batched [1, 4, 64], ragged [S, 1, 4]): axes outside dims must be equal or 1", "",
                 [](const Tensor& q, Indexer& c) {
                   const Tensor score = gemm(q, c["c"]);
                   NEXT_LINE;
                   return kron(q, score, {1});
                 }),
      in_indexer("Kron(batched [1, 4, 64], paged [S, 1, 64]): dims must name axis 1, axis 2 or both", "",
                 [](const Tensor& q, Indexer& c) {
                   NEXT_LINE;
                   return kron(q, c["c"], {3});
                 }),
      in_indexer("MaskSlice(batched [1, 4, 64]): needs 0 <= start <= end <= 64, got 0 and 65", "",
                 [](const Tensor& q, Indexer&) {
                   NEXT_LINE;
                   return mask_slice(q, 0, 65, 2);
                 }),
      in_indexer("Reshape(batched [1, 4, 64]): cannot become [4, 60]: 256 elements a page", "",
                 [](const Tensor& q, Indexer&) {
                   NEXT_LINE;
                   return reshape(q, 4, 60);
                 }),
      in_indexer("Reshape(paged [S, 1, 64]): cannot reshape a field", "Load the field first",
                 [](const Tensor&, Indexer& c) {
                   NEXT_LINE;
                   return reshape(c["c"], 64, 1);
                 }),
      in_cache("MeanInterleave([1, 16, 64]): axis 1 of size 16 is not divisible by k = 5", "",
               [](Cache& c) {
                 NEXT_LINE;
                 return mean_interleave(c["k"], 1, 5);
               }),
      {"Write([1, 16, 64]): the field is [1, 64]", "declare the shape that is written in create_cache",
       [](Probe& p) {
         p.cache = [](Cache& c) {
           NEXT_LINE;
           c.write("c", c["k"]);
         };
       }},
  });
}

TEST(TraceErrors, FormatsAndAxes) {
  expect_rows({
      in_indexer("Softmax(paged [S, 1, 64]): needs a ragged tensor", "Load the field first",
                 [](const Tensor&, Indexer& c) {
                   NEXT_LINE;
                   return softmax(c["c"], 0);
                 }),
      in_indexer("Normalize(batched [1, 4, 64]): needs a ragged tensor", "",
                 [](const Tensor& q, Indexer&) {
                   NEXT_LINE;
                   return normalize(q, 0);
                 }),
      in_indexer("Softmax(ragged [S, 1, 64]): dim must be 0, got 1", "",
                 [](const Tensor&, Indexer& c) {
                   const Tensor loaded = c.load("c");
                   NEXT_LINE;
                   return softmax(loaded, 1);
                 }),
      in_indexer("Conv1d(ragged [S, 1, 64]): weight must be [2, 1, 64], has 3 numbers", "",
                 [](const Tensor&, Indexer& c) {
                   const Tensor loaded = c.load("c");
                   NEXT_LINE;
                   return conv1d(loaded, {1, 2, 3}, 2);
                 }),
      in_indexer("Mean(paged [S, 1, 64]): dim 0 needs a ragged tensor", "Load the field first",
                 [](const Tensor&, Indexer& c) {
                   NEXT_LINE;
                   return mean(c["c"], 0);
                 }),
      in_indexer("Max(batched [1, 4, 64]): dim must be 0, 1 or 2, got 3", "",
                 [](const Tensor& q, Indexer&) {
                   NEXT_LINE;
                   return max(q, 3);
                 }),
      in_cache("Mean([1, 16, 64]): dim must be 1 or 2, got 0", "",
               [](Cache& c) {
                 NEXT_LINE;
                 return mean(c["k"], 0);
               }),
  });
}

TEST(TraceErrors, Scores) {
  expect_rows({
      {"topK(ragged [S, 1, 4]): the score must be ragged [S, 1, 1]", kReduceHint,
       [](Probe& p) {
         p.indexer = [](const Tensor& q, Indexer& c) {
           const Tensor score = gemm(q, c["c"]);
           NEXT_LINE;
           return top_k(score);
         };
       }},
      {"topK(batched [1, 1, 1]): the score must be ragged [S, 1, 1]", "a batched score is the same for every page",
       [](Probe& p) {
         p.indexer = [](const Tensor& q, Indexer&) {
           const Tensor score = max(max(q, 1), 2);
           NEXT_LINE;
           return top_k(score);
         };
       }},
      {"approxTopK(paged [S, 1, 64]): the score must be ragged [S, 1, 1]", "Load the field first",
       [](Probe& p) {
         p.indexer = [](const Tensor&, Indexer& c) {
           NEXT_LINE;
           return approx_top_k(c["c"], 0.5f);
         };
       }},
      {"approxTopK(ragged [S, 1, 1]): tolerate_ratio must be between 0 and 1, got 1.5", "",
       [](Probe& p) {
         p.indexer = [](const Tensor& q, Indexer& c) {
           const Tensor score = gemm(mean(q, 1), c["c"]);
           NEXT_LINE;
           return approx_top_k(score, 1.5f);
         };
       }},
      {"top_p(ragged [S, 1, 1]): mass must be above 0 and at most 1, got 0", "",
       [](Probe& p) {
         p.indexer = [](const Tensor& q, Indexer& c) {
           const Tensor score = gemm(mean(q, 1), c["c"]);
           NEXT_LINE;
           return top_p(score, 0.0f, 1, 8);
         };
       }},
      {"topK is a second output of forward_indexer", nullptr,  // the hint has the place of the first
       [](Probe& p) {
         p.indexer = [](const Tensor& q, Indexer& c) {
           const Tensor score = gemm(mean(q, 1), c["c"]);
           top_k(score);
           NEXT_LINE;
           return top_k(score);
         };
       }},
      {"forward_indexer has no output", "end it with top_k(score) or another output op",
       [](Probe& p) {
         g_line = 0;
         p.indexer = [](const Tensor&, Indexer&) { return Score(); };
       }},
      {"forward_indexer must return what its output operator returned", "return top_k(score)",
       [](Probe& p) {
         g_line = 0;
         p.indexer = [](const Tensor& q, Indexer& c) {
           top_k(gemm(mean(q, 1), c["c"]));
           return Score();
         };
       }},
  });
}

TEST(TraceErrors, Methods) {
  const auto kept = std::make_shared<Tensor>();
  expect_rows({
      in_cache("Sum([1, 16, 64]): not available in forward_cache", "use it in forward_indexer",
               [](Cache& c) {
                 NEXT_LINE;
                 return sum(c["k"], 1);
               }),
      in_indexer("StdDev(batched [1, 4, 64]): not available in forward_indexer", "use it in forward_cache",
                 [](const Tensor& q, Indexer&) {
                   NEXT_LINE;
                   return std_dev(q, 1);
                 }),
      {"GeMM of a tensor from another method",
       "what forward_indexer needs of a page, forward_cache must write to a field",
       [=](Probe& p) {
         p.cache = [=](Cache& c) {
           *kept = mean(c["k"], 1);
           c.write("c", *kept);
         };
         p.indexer = [=](const Tensor& q, Indexer&) {
           NEXT_LINE;
           return top_k(gemm(q, *kept));
         };
       }},
      in_indexer("Abs of an empty tensor", "start from q or a field",
                 [](const Tensor&, Indexer&) {
                   NEXT_LINE;
                   return abs(Tensor());
                 }),
      in_cache("Abs reads field 'c' in forward_cache",
               "only the page's tokens can be read there; keep the value in a variable",
               [](Cache& c) {
                 NEXT_LINE;
                 return abs(c["c"]);
               }),
  });
}

TEST(TraceErrors, Fields) {
  const char* const kAlways = "k and v (latent for MLA) are always there; choose another name";
  expect_rows({
      in_fields("create_cache declares 'k', a reserved name", kAlways, {{"k", {1, 64}}}),
      in_fields("create_cache declares 'kv_c', a reserved name", kAlways, {{"kv_c", {1, 64}}}),
      in_fields("create_cache declares 'c' twice", "", {{"c", {1, 64}}, {"c", {1, 64}}}),
      in_fields("'2c' is no field name", "letters, digits and _, not a digit first, at most 64", {{"2c", {1, 64}}}),
      in_fields("field 'c' has impossible shape [0, 64] for group 4, head_dim 64, block_size 16",
                "an axis is empty: this flow needs a larger block_size or head_dim", {{"c", {0, 64}}}),
      in_fields("field 'c' has impossible shape [1, 70000] for group 4, head_dim 64, block_size 16",
                "each axis from 1 to 65536, 1048576 elements at most", {{"c", {1, 70000}}}),
      in_fields("field 'c' has unknown storage 'bfloat61'", "did you mean 'bfloat16'?", {{"c", {1, 64, "bfloat61"}}}),
      in_fields("nothing writes field 'd' in forward_cache",
                "write it, or fill it with 0 if forward_indexer saves to it", {{"c", {1, 64}}, {"d", {1, 64}}}),
      {"no field 'centroid'", "did you mean 'centroids'?",
       [](Probe& p) {
         p.fields = [] { return Fields{{"centroids", {1, 64}}}; };
         p.cache = [](Cache& c) { c.write("centroids", mean(c["k"], 1)); };
         p.indexer = [](const Tensor& q, Indexer& c) {
           NEXT_LINE;
           return top_k(gemm(mean(q, 1), c["centroid"]));
         };
       }},
      {"Write to 'k', which the engine writes", "",
       [](Probe& p) {
         p.cache = [](Cache& c) {
           NEXT_LINE;
           c.write("k", c["k"]);
         };
       }},
      {"Fill writes field 'c' a second time", nullptr,
       [](Probe& p) {
         p.cache = [](Cache& c) {
           c.write("c", mean(c["k"], 1));
           NEXT_LINE;
           c.fill("c", 0);
         };
       }},
      {"Save(paged [S, 1, 64]): saves a ragged tensor", "Load the field first",
       [](Probe& p) {
         p.indexer = [](const Tensor& q, Indexer& c) {
           NEXT_LINE;
           c.save("c", c["c"]);
           return top_k(gemm(mean(q, 1), c["c"]));
         };
       }},
  });
}

}  // namespace
}  // namespace vortex::flow

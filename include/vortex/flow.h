// Writing a flow: which pages of a long context a row of attention reads.
//
//   struct BlockSparse : vortex::Flow {
//     Fields create_cache(const PageShape& s) override { return {{"centroids", {1, s.head_dim}}}; }
//     void forward_cache(CacheScope& c) override { c.write("centroids", mean(c["k"], 1)); }
//     Score forward_indexer(const Tensor& q, IndexerScope& c) override {
//       return top_k(gemm(mean(q, 1), c["centroids"]));
//     }
//   };
//   VORTEX_FLOW("block_sparse_attention", BlockSparse)
//
// The methods run once, when the flow is compiled: they record operators, a Tensor holds no numbers. A mistake (shape,
// format, side) ends the recording with an error that names the operator, the shapes and the line here.
//
// A Tensor is [L, rows, cols]. Formats: batched (the query; L = 1), paged (a field; L = pages), ragged (a result with
// one value a page). L = 1 repeats over the pages, inner axes broadcast when one of them is 1; a result is batched iff
// all inputs are. In forward_cache L is 1: one finished page of one kv head, `k` and `v` [1, page_tokens, head_dim].
#pragma once

#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace vortex {

namespace flow {
class Tracer;
}

/// The attention a flow is written for: keys and values of kv heads, or one latent a token for all heads.
enum class AttentionKind { kGqa, kMla };

/// What a Flow is compiled for.
struct PageShape {
  int page_tokens;  // tokens in a page
  int head_dim;     // width of keys and queries
  int group;        // query heads that share a kv head
  float scale;      // attention is softmax(scale * q . k)
};

/// What a FlowMLA is compiled for.
struct LatentShape {
  int page_tokens;       // tokens in a page
  int kv_lora_rank;      // leading numbers of a latent: compressed keys and values, without positions
  int qk_rope_head_dim;  // the numbers after them: a key of all heads, with its position
  int heads;             // query heads
  float scale;           // attention is softmax(scale * q . latent)

  int width() const { return kv_lora_rank + qk_rope_head_dim; }
};

/// Inner shape of a field and how it is stored: "flow" (bfloat16 unless configured), "float32", "bfloat16", "float16",
/// "fp8_e4m3", "fp8_e5m2", or codes with one step a row: "int8", "int4", "int2" (for values near a Gaussian, such as
/// rotated ones) and "int1" (sign and mean magnitude). Operators read the values.
struct FieldShape {
  int rows;
  int cols;
  std::string storage = "flow";
};
struct Field {
  std::string name;
  FieldShape shape;
};
using Fields = std::vector<Field>;

using SourceLocation = std::source_location;

/// A recorded value. Cheap to copy; valid while the flow is being recorded.
class Tensor {
 public:
  Tensor() = default;

 private:
  friend class flow::Tracer;
  flow::Tracer* tracer_ = nullptr;
  int value_ = -1;
};

/// The output of forward_indexer: what an output operator returns.
class Score {
 public:
  Score() = default;

 private:
  friend class flow::Tracer;
  flow::Tracer* tracer_ = nullptr;
  int output_ = -1;
};

/// Result of top_k(score, k): a set of pages, to be joined by unite().
class PageSet {
 public:
  PageSet() = default;

 private:
  friend class flow::Tracer;
  Tensor set_;
};

/// A field's name together with the place it was written.
struct FieldName {
  FieldName(const char* text, SourceLocation at = SourceLocation::current()) : name(text), where(at) {}  // NOLINT
  FieldName(std::string text, SourceLocation at = SourceLocation::current())
      : name(std::move(text)), where(at) {}  // NOLINT
  std::string name;
  SourceLocation where;
};

/// One finished page of one kv head.
class CacheScope {
 public:
  Tensor operator[](const FieldName& field);  // "k", "v"; in a FlowMLA "latent"
  void write(const FieldName& field, const Tensor& value);
  void fill(const FieldName& field, float value);

 private:
  friend class flow::Tracer;
  explicit CacheScope(flow::Tracer* tracer) : tracer_(tracer) {}
  flow::Tracer* tracer_;
};

/// One row: a sequence and a kv head.
class IndexerScope {
 public:
  Tensor operator[](const FieldName& field);  // paged [S, rows, cols]
  Tensor load(const FieldName& field);        // what earlier steps saved, ragged
  void save(const FieldName& field, const Tensor& value);

 private:
  friend class flow::Tracer;
  explicit IndexerScope(flow::Tracer* tracer) : tracer_(tracer) {}
  flow::Tracer* tracer_;
};

/// What flows of both kinds do; written as a Flow or a FlowMLA.
class FlowBase {
 public:
  // So that a flow's own text needs no vortex:: before these names.
  using Tensor = vortex::Tensor;
  using Score = vortex::Score;
  using PageSet = vortex::PageSet;
  using Fields = vortex::Fields;
  using PageShape = vortex::PageShape;
  using LatentShape = vortex::LatentShape;
  using CacheScope = vortex::CacheScope;
  using IndexerScope = vortex::IndexerScope;

  virtual ~FlowBase() = default;
  virtual AttentionKind attention() const = 0;
  /// Writes every declared field from the page's tokens. Runs when a page becomes full.
  virtual void forward_cache(CacheScope& cache) = 0;
  /// Scores the pages for q; ends in exactly one output operator. Runs each decode step.
  virtual Score forward_indexer(const Tensor& q, IndexerScope& cache) = 0;
};

/// Over keys and values: `k` and `v` are [1, page_tokens, head_dim], q is [1, group, head_dim].
class Flow : public FlowBase {
 public:
  static constexpr AttentionKind kAttention = AttentionKind::kGqa;
  AttentionKind attention() const final { return kAttention; }
  /// Names and inner shapes of what the flow remembers of a page. `k` and `v` are always there.
  virtual Fields create_cache(const PageShape& shape) = 0;
};

/// Over latents (multi-head latent attention): `latent` is [1, page_tokens, width], q is [1, heads, width], each head's
/// query with the key projection absorbed, so that q . latent is the head's logit before scaling.
class FlowMLA : public FlowBase {
 public:
  static constexpr AttentionKind kAttention = AttentionKind::kMla;
  AttentionKind attention() const final { return kAttention; }
  /// Names and inner shapes of what the flow remembers of a page. `latent` is always there.
  virtual Fields create_cache(const LatentShape& shape) = 0;
};

#define VORTEX_AT SourceLocation at = SourceLocation::current()

/// out[s, a, b] = sum_k y[s, a, k] * x[s, b, k]: [.., Ny, Nx]. x with leading 1 serves all pages.
Tensor gemm(const Tensor& x, const Tensor& y, VORTEX_AT);
/// gemm of one query row and one row a page: [.., 1, 1].
Tensor gemv(const Tensor& x, const Tensor& y, VORTEX_AT);

// Reductions over axis `dim`, kept with size 1. dim 0 (forward_indexer only) runs over the middle pages of a row and
// gives a batched value.
Tensor sum(const Tensor& x, int dim, VORTEX_AT);  // forward_indexer only
Tensor mean(const Tensor& x, int dim, VORTEX_AT);
Tensor max(const Tensor& x, int dim, VORTEX_AT);
Tensor min(const Tensor& x, int dim, VORTEX_AT);
Tensor l2norm(const Tensor& x, int dim, VORTEX_AT);       // square root of the sum of squares
Tensor log_sum_exp(const Tensor& x, int dim, VORTEX_AT);  // forward_indexer only
Tensor std_dev(const Tensor& x, int dim, VORTEX_AT);      // forward_cache only; of the population

// The same over each k consecutive elements of axis 1 or 2 (forward_cache only).
Tensor mean_interleave(const Tensor& x, int dim = 1, int k = 2, VORTEX_AT);
Tensor max_interleave(const Tensor& x, int dim = 1, int k = 2, VORTEX_AT);
Tensor min_interleave(const Tensor& x, int dim = 1, int k = 2, VORTEX_AT);
Tensor l2norm_interleave(const Tensor& x, int dim = 1, int k = 2, VORTEX_AT);

// Elementwise.
Tensor multiply(const Tensor& x, const Tensor& y, VORTEX_AT);
Tensor add(const Tensor& x, const Tensor& y, float alpha = 1, float beta = 1, VORTEX_AT);  // alpha * x + beta * y
Tensor maximum(const Tensor& x, const Tensor& y, VORTEX_AT);
Tensor minimum(const Tensor& x, const Tensor& y, VORTEX_AT);
// 0 where the comparison x ? y holds, else -1e30.
Tensor where_equal(const Tensor& x, const Tensor& y, VORTEX_AT);
Tensor where_not_equal(const Tensor& x, const Tensor& y, VORTEX_AT);
Tensor where_greater(const Tensor& x, const Tensor& y, VORTEX_AT);
Tensor where_greater_equal(const Tensor& x, const Tensor& y, VORTEX_AT);
Tensor where_less(const Tensor& x, const Tensor& y, VORTEX_AT);
Tensor where_less_equal(const Tensor& x, const Tensor& y, VORTEX_AT);
Tensor relu(const Tensor& x, float alpha = 0, float beta = 0, VORTEX_AT);     // x if x >= alpha, else beta
Tensor sigmoid(const Tensor& x, float alpha = 0, float beta = 0, VORTEX_AT);  // 1 / (1 + exp(beta * x + alpha))
Tensor silu(const Tensor& x, float alpha = 0, float beta = 0, VORTEX_AT);     // x / (1 + exp(beta * x + alpha))
Tensor add_mul(const Tensor& x, float alpha = 0, float beta = 1, VORTEX_AT);  // beta * x + alpha
Tensor abs(const Tensor& x, float alpha = 0, float beta = 1, VORTEX_AT);
Tensor log(const Tensor& x, float alpha = 0, float beta = 1, VORTEX_AT);
Tensor exp(const Tensor& x, float alpha = 0, float beta = 1, VORTEX_AT);

// Over the middle pages of a row (dim is 0).
Tensor softmax(const Tensor& x, int dim, float scale = 1, VORTEX_AT);
Tensor normalize(const Tensor& x, int dim, VORTEX_AT);  // divided by its L2 norm
/// Causal: out[s] = sum_t weight[t] * x[s - t]; weight is [taps, rows, cols], flat.
Tensor conv1d(const Tensor& x, const std::vector<float>& weight, int taps, VORTEX_AT);

// Layout and masks.
Tensor transpose(const Tensor& x, VORTEX_AT);
Tensor reshape(const Tensor& x, int rows, int cols, VORTEX_AT);
/// alpha where start <= index < end on axis `dim`, else beta; x gives the shape only.
Tensor mask_slice(const Tensor& x, int start, int end, int dim, float alpha = 1, float beta = 0, VORTEX_AT);
/// Kronecker product on the named axes, x's index slow; the other axis broadcasts.
Tensor kron(const Tensor& x, const Tensor& y, const std::vector<int>& dims, VORTEX_AT);
/// Random signs and an orthonormal Walsh-Hadamard transform of the last axis: keeps dot products, spreads outliers.
Tensor rotate(const Tensor& x, VORTEX_AT);

/// Learned weights: the layer's matrix of that name times all numbers of x, row after row, as [1, rows, cols]. x is
/// batched. The matrices, [rows * cols, numbers of x] for each layer, come from the file that the setting
/// compressor-ckpt names; a layer that has none gets the sum of x's parts of rows * cols numbers.
Tensor project(const Tensor& x, const std::string& parameter, int rows, int cols, VORTEX_AT);

// Outputs: score is ragged [S, 1, 1]. Higher is better, ties go to the lower page.
Score top_k(const Tensor& score, VORTEX_AT);  // as many pages as the budget leaves
/// Like top_k, but may stop early once a share of 1 - tolerate_ratio of the true pages is certain.
Score approx_top_k(const Tensor& score, float tolerate_ratio, VORTEX_AT);
/// The fewest pages whose share of softmax(score) reaches `mass`: at least at_least, at most at_most (0: what the
/// budget leaves). With at_most the flow sets the budget itself.
Score top_p(const Tensor& score, float mass, int at_least, int at_most, VORTEX_AT);
/// The best k pages, and the pages of either set: together they set the budget.
PageSet top_k(const Tensor& score, int k, VORTEX_AT);
Score unite(const PageSet& a, const PageSet& b, VORTEX_AT);

#undef VORTEX_AT

}  // namespace vortex

/// VORTEX_FLOW gives a flow its name: the last line of its file. In a shared object it leaves an entry that the engine
/// finds through the functions below; no code runs before the engine asks. In the engine's own flows/ it defines
/// the entry that flows/registry.cc lists.
namespace vortex {
struct FlowEntry {
  const char* name;
  AttentionKind attention;
  std::unique_ptr<FlowBase> (*make)();
};
using FlowList = const FlowEntry* const*;
struct FlowExports {
  const char* (*abi)();
  FlowList (*begin)();
  FlowList (*end)();
};
}  // namespace vortex

#ifdef VORTEX_BUILTIN_FLOWS
#define VORTEX_FLOW(name, Class)                                                                               \
  namespace vortex::flows {                                                                                    \
  extern const FlowEntry builtin_##Class;                                                                      \
  const FlowEntry builtin_##Class = {name, Class::kAttention,                                                  \
                                     []() -> std::unique_ptr<FlowBase> { return std::make_unique<Class>(); }}; \
  }
#else
/// What a shared object was built against. It changes with everything above that compiled code depends on.
#define VORTEX_FLOW_ABI "vortex-flow-abi/2"

#define VORTEX_FLOW_EXPORT extern "C" __attribute__((visibility("default"))) inline

// The linker gathers the entries of all files into one list and names its two ends.
extern "C" __attribute__((weak, visibility("hidden"))) const vortex::FlowEntry* const __start_vortex_flows[];
extern "C" __attribute__((weak, visibility("hidden"))) const vortex::FlowEntry* const __stop_vortex_flows[];

VORTEX_FLOW_EXPORT const char* vortex_flow_abi() { return VORTEX_FLOW_ABI; }
VORTEX_FLOW_EXPORT vortex::FlowList vortex_flows_begin() { return __start_vortex_flows; }
VORTEX_FLOW_EXPORT vortex::FlowList vortex_flows_end() { return __stop_vortex_flows; }

#undef VORTEX_FLOW_EXPORT

#define VORTEX_FLOW(name, Class) VORTEX_FLOW_NUMBERED(name, Class, __COUNTER__)
#define VORTEX_FLOW_NUMBERED(name, Class, number) VORTEX_FLOW_ENTRY(name, Class, number)
// Exports refer to the functions, so that they are compiled where there is a flow and nowhere else.
#define VORTEX_FLOW_ENTRY(name, Class, number)                                                                       \
  static const vortex::FlowEntry vortex_flow_##number = {                                                            \
      name, Class::kAttention, []() -> std::unique_ptr<vortex::FlowBase> { return std::make_unique<Class>(); }};     \
  __attribute__((used, section("vortex_flows"))) static const vortex::FlowEntry* const vortex_flow_listed_##number = \
      &vortex_flow_##number;                                                                                         \
  __attribute__((used)) static const vortex::FlowExports vortex_flow_exports_##number = {                            \
      vortex_flow_abi, vortex_flows_begin, vortex_flows_end};
#endif

// Every flow over latents against its formula, written here from `latent` alone: both backends, two types of fields.
#include <gtest/gtest.h>

#include <functional>

#include "base/worker_pool.h"
#include "flow/flow.h"
#include "flow/sketch_testing.h"
#include "flows/registry.h"

namespace vortex::flow {
namespace {

using Formula = std::function<Vector(const World&, int row, DType)>;

Vector mean_query(const World& world, int row) {
  Vector out(static_cast<size_t>(world.shape.head_dim), 0.0);
  for (int h = 0; h < world.shape.group; ++h)
    for (size_t d = 0; d < out.size(); ++d) out[d] += query_of(world, row, h)[d] / world.shape.group;
  return out;
}

/// What the flow should have stored of tokens [first, first + count): by channel, from that channel's values.
Vector summary(const World& world, const std::vector<float>& latents, int first, int count, DType dtype,
               const std::function<double(const Vector&)>& of_channel) {
  Vector out;
  for (int d = 0; d < world.shape.head_dim; ++d) {
    Vector channel;
    for (int t = first; t < first + count; ++t)
      channel.push_back(
          latents[static_cast<size_t>(t) * static_cast<size_t>(world.shape.head_dim) + static_cast<size_t>(d)]);
    out.push_back(rounded(dtype, static_cast<float>(of_channel(channel))));
  }
  return out;
}

double mean_of(const Vector& x) {
  double sum = 0;
  for (double v : x) sum += v;
  return sum / static_cast<double>(x.size());
}

double deviation_of(const Vector& x) {
  double squares = 0;
  for (double v : x) squares += (v - mean_of(x)) * (v - mean_of(x));
  return std::sqrt(squares / static_cast<double>(x.size()));
}

double largest_of(const Vector& x) { return *std::max_element(x.begin(), x.end()); }
double smallest_of(const Vector& x) { return *std::min_element(x.begin(), x.end()); }

/// Score of each page from the latents of its parts of `part` tokens (0: the page): the best part's.
template <class Score>
Vector best_part(const World& world, int row, int part, Score score) {
  const int tokens = part == 0 ? world.shape.page_tokens : part;
  Vector out;
  for (int j = 0; j < scored_pages(world, row); ++j) {
    const std::vector<float> latents = world.field(0, world.page(row, j));
    double best = -1e300;
    for (int first = 0; first < world.shape.page_tokens; first += tokens)
      best = std::max(best, double{score(latents, first, tokens)});
    out.push_back(best);
  }
  return out;
}

/// content * <q_nope, c_kv> + position * <q_pe, c_pe> of the mean query and the best centroid.
Formula centroid(double content, double position, int part = 0) {
  return [=](const World& world, int row, DType dtype) {
    Vector q = mean_query(world, row);
    for (size_t d = 0; d < q.size(); ++d)
      q[d] *= d < static_cast<size_t>(world.shape.kv_lora_rank) ? content : position;
    return best_part(world, row, part, [&](const std::vector<float>& latents, int first, int tokens) {
      return dot(q, summary(world, latents, first, tokens, dtype, mean_of));
    });
  };
}

Vector quest(const World& world, int row, DType dtype) {
  return best_part(world, row, 16, [&](const std::vector<float>& latents, int first, int tokens) {
    const Vector high = summary(world, latents, first, tokens, dtype, largest_of);
    const Vector low = summary(world, latents, first, tokens, dtype, smallest_of);
    double best = -1e300;
    for (int h = 0; h < world.shape.group; ++h) {
      const Vector q = query_of(world, row, h);
      double bound = 0;
      for (size_t d = 0; d < q.size(); ++d) bound += std::max(q[d] * high[d], q[d] * low[d]);
      best = std::max(best, bound);
    }
    return best;
  });
}

Vector mean_and_spread(const World& world, int row, DType dtype) {
  return best_part(world, row, 0, [&](const std::vector<float>& latents, int first, int tokens) {
    const Vector mean = summary(world, latents, first, tokens, dtype, mean_of);
    const Vector spread = summary(world, latents, first, tokens, dtype, deviation_of);
    double best = -1e300;
    for (int h = 0; h < world.shape.group; ++h) {
      const Vector q = query_of(world, row, h);
      double score = 0;
      for (size_t d = 0; d < q.size(); ++d) score += q[d] * mean[d] + 2 * std::abs(q[d]) * spread[d];
      best = std::max(best, score);
    }
    return best;
  });
}

/// W q with W [width, heads * width] in bfloat16; where a layer has none, the sum of the queries.
Vector project_queries(const World& world, int row, const uint16_t* weights, DType dtype) {
  const auto width = static_cast<size_t>(world.shape.head_dim), heads = static_cast<size_t>(world.shape.group);
  Vector out;
  for (size_t i = 0; i < width; ++i) {
    double sum = 0;
    for (size_t k = 0; k < heads * width; ++k) {
      const double weight = weights != nullptr ? bf16_to_f32(weights[i * heads * width + k]) : k % width == i;
      sum += weight * world.query(row)[k];
    }
    out.push_back(rounded(dtype, static_cast<float>(sum)));
  }
  return out;
}

Vector learned(const World& world, int row, const uint16_t* weights, DType dtype) {
  const Vector q = project_queries(world, row, weights, dtype);
  return best_part(world, row, 0, [&](const std::vector<float>& latents, int first, int tokens) {
    return dot(q, summary(world, latents, first, tokens, dtype, mean_of));
  });
}

struct Case {
  const char* flow;
  Formula formula;
  bool page_axis = false;  // its score went through a softmax of rounded logits
};

std::vector<Case> all_flows() {
  return {{"rope_aware_block_sparse_mla", centroid(1, 1)},
          {"lserve_centroid_mla", centroid(1, 1, 16)},
          {"rope_unaware_block_sparse_mla", centroid(1, 0)},
          {"rope_unaware_lserve_centroid_mla", centroid(1, 0, 16)},
          {"rope_weighted_block_sparse_mla_b10", centroid(0.90, 0.10)},
          {"rope_weighted_block_sparse_mla_b25", centroid(0.75, 0.25)},
          {"rope_weighted_block_sparse_mla_b50", centroid(0.50, 0.50)},
          {"rope_weighted_block_sparse_mla_b75", centroid(0.25, 0.75)},
          {"rope_weighted_block_sparse_mla_b90", centroid(0.10, 0.90)},
          {"rope_weighted_block_sparse_mla_b100", centroid(0, 1)},
          {"learned_block_sparse_mla", [](const World& w, int r, DType d) { return learned(w, r, nullptr, d); }},
          {"quest_mla", quest},
          {"mean_std_mla", mean_and_spread},
          {"sketch1_mla", [](const World& w, int r, DType d) { return sketch_max(w, r, 1, d); }, true},
          {"sketch2_mla", [](const World& w, int r, DType d) { return sketch_max(w, r, 2, d); }, true}};
}

/// Widths of two and of three rotated blocks, and a rank that is no power of two.
std::vector<WorldShape> shapes() {
  std::vector<WorldShape> out;
  for (auto [heads, rank, rope, page, tokens] : {std::tuple{8, 512, 64, 32, 420}, {5, 96, 16, 16, 333}}) {
    WorldShape shape = example_world(AttentionKind::kMla);
    shape.group = heads;
    shape.head_dim = rank + rope;
    shape.kv_lora_rank = rank;
    shape.page_tokens = page;
    shape.tokens = {tokens, page + 1};
    shape.budget = 6;
    shape.scale = 0.05f;
    out.push_back(shape);
  }
  return out;
}

/// With latents of 8-bit codes too, but not for sketches: rotated codes are multiples of half a step, often exactly on
/// the border of two sketched ones.
std::vector<WorldShape> shapes_of(const Case& flow) {
  std::vector<WorldShape> out = shapes();
  if (flow.page_axis) return out;
  out.push_back(out.back());
  out.back().kv_dtype = DType::kCode8;
  return out;
}

class LatentFlows : public testing::TestWithParam<std::tuple<Case, BackendKind, DType>> {};

TEST_P(LatentFlows, ScoreAsTheirFormula) {
  const auto& [flow, backend, dtype] = GetParam();
  WorkerPool pool(2);
  for (const WorldShape& shape : shapes_of(flow)) {
    auto made = flows::make_flow(flow.flow).value();
    auto compiled =
        CompiledFlow::compile(*made, flow.flow, shape.graph(), {dtype, backend, {{"rewrite"}}, shape.kv_dtype}, &pool);
    ASSERT_TRUE(compiled.ok()) << compiled.error().to_string();
    World world(shape, (*compiled)->fields(), 5);
    (*compiled)->update(world.view, world.full_pages());
    PageList list;
    list_reserved_pages(world.step, world.view, &list);
    ASSERT_TRUE((*compiled)->select(world.view, world.step, world.queries.data(), &list).ok());
    const Vector expected = flow.formula(world, 0, dtype);
    const auto got = (*compiled)->scores(world.view, world.step, 0, world.queries.data());
    ASSERT_EQ(got.size(), expected.size());
    double largest = 0;
    for (double x : expected) largest = std::max(largest, std::abs(x));
    const double exact = flow.page_axis ? 2e-3 : 1e-5, half = flow.page_axis ? 0x1p-6 : 0x1p-7;
    for (size_t j = static_cast<size_t>(shape.bos); j < got.size(); ++j)
      EXPECT_NEAR(got[j], expected[j], largest * (dtype == DType::kF32 ? exact : half)) << "page " << j;
    std::vector<int> order(got.size() - 1);
    std::iota(order.begin(), order.end(), 1);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return got[static_cast<size_t>(a)] > got[static_cast<size_t>(b)]; });
    order.resize(static_cast<size_t>(shape.budget - shape.bos - shape.eos));
    std::sort(order.begin(), order.end());
    EXPECT_EQ(world.chosen(list, 0), order);
  }
}

std::string name_of(const testing::TestParamInfo<LatentFlows::ParamType>& test) {
  const auto& [flow, backend, dtype] = test.param;
  return std::string(flow.flow) + (backend == BackendKind::kCpu ? "_cpu_" : "_interpreter_") +
         std::string(dtype_info(dtype).name);
}

INSTANTIATE_TEST_SUITE_P(Flows, LatentFlows,
                         testing::Combine(testing::ValuesIn(all_flows()),
                                          testing::Values(BackendKind::kInterpreter, BackendKind::kCpu),
                                          testing::Values(DType::kF32, DType::kBF16)),
                         name_of);

TEST(LatentFlowList, EveryOneIsChecked) {
  for (const auto& info : flows::list_flows()) {
    if (info.attention != AttentionKind::kMla) continue;
    const auto cases = all_flows();
    EXPECT_TRUE(std::any_of(cases.begin(), cases.end(), [&](const Case& c) { return info.name == c.flow; }))
        << info.name;
  }
}

std::shared_ptr<const Parameter> random_compressor(const WorldShape& shape) {
  auto parameter =
      std::make_shared<Parameter>(Parameter{"compressor", shape.head_dim, shape.group * shape.head_dim, {}});
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  parameter->layers.resize(3);  // the first and the last are trained
  for (size_t layer : {0, 2})
    for (int64_t i = 0; i < parameter->rows * parameter->cols; ++i)
      parameter->layers[layer].push_back(f32_to_bf16(0.02f * normal(random)));
  return parameter;
}

TEST(LearnedFlow, EachLayerHasItsWeightsOrTheIdentity) {
  WorkerPool pool(2);
  for (const WorldShape& shape : shapes())
    for (BackendKind backend : {BackendKind::kInterpreter, BackendKind::kCpu})
      for (DType dtype : {DType::kF32, DType::kBF16}) {
        const auto compressor = random_compressor(shape);
        auto made = flows::make_flow("learned_block_sparse_mla").value();
        auto flow = CompiledFlow::compile(*made, "learned_block_sparse_mla", shape.graph(),
                                          {dtype, backend, {}, shape.kv_dtype, {compressor}}, &pool)
                        .value();
        World world(shape, flow->fields(), 5);
        flow->update(world.view, world.full_pages());
        for (int layer : {0, 1, 2, 7}) {
          world.view.layer = layer;
          const Vector expected = learned(world, 0, compressor->of_layer(layer), dtype);
          const auto got = flow->scores(world.view, world.step, 0, world.queries.data());
          const double tolerance = (dtype == DType::kF32 ? 1e-5 : 0x1p-7) * largest_of(expected);
          for (size_t j = 1; j < got.size(); ++j) ASSERT_NEAR(got[j], expected[j], tolerance) << layer << " " << j;
        }
        EXPECT_EQ(compressor->of_layer(1), nullptr);
      }
}

TEST(LearnedFlow, WeightsOfAnotherModelAreRefusedWithBothShapes) {
  WorkerPool pool(1);
  auto made = flows::make_flow("learned_block_sparse_mla").value();
  FlowOptions options;
  options.parameters = {std::make_shared<Parameter>(Parameter{"compressor", 576, 20 * 576, {}})};
  const auto flow = CompiledFlow::compile(*made, "learned_block_sparse_mla", {8, 576, 32, 512}, options, &pool);
  ASSERT_FALSE(flow.ok());
  EXPECT_EQ(flow.error().code, ErrorCode::kConfiguration);
  EXPECT_NE(flow.error().message.find("parameter 'compressor' of flow learned_block_sparse_mla is [576, 4608] a layer, "
                                      "the weights are [576, 11520]"),
            std::string::npos);
}

TEST(LatentFlowList, BytesOfMetadata) {
  WorkerPool pool(1);
  const auto bytes = [&](const char* name) {
    auto flow = flows::make_flow(name).value();
    return CompiledFlow::compile(*flow, name, {8, 576, 32, 512}, {}, &pool).value()->plan().bytes_read_per_page();
  };
  EXPECT_EQ(bytes("rope_aware_block_sparse_mla"), 1152);
  EXPECT_EQ(bytes("lserve_centroid_mla"), 2304);
  EXPECT_EQ(bytes("quest_mla"), 4608);
  EXPECT_EQ(bytes("sketch1_mla"), 2368);  // of the 36,864 of the page itself
  EXPECT_EQ(bytes("sketch2_mla"), 4672);
}

}  // namespace
}  // namespace vortex::flow

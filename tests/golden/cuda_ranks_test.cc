// Several ranks on GPUs compute what one computes. Each is a process, as in use, and all share one GPU: through the
// host, or through a double of NCCL.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "comm/shared_memory.h"
#include "engine/flow_setup.h"
#include "golden/golden_json.h"
#include "sample/sampler.h"
#include "support/cuda_rig.h"

namespace vortex::testing {
namespace {

using Ids = std::vector<int32_t>;

constexpr int kNoGpu = 77;
constexpr int kDecodes = 5;  // a graph is captured in the second and replayed from then on

std::string source_path(const std::string& path) { return std::string(VORTEX_SOURCE_DIR) + "/" + path; }

/// body(communicator) in a process a rank. This process never opens the GPU: its children could not.
void on_ranks(int ranks, const std::function<void(comm::Communicator&)>& body) {
  const auto segment = comm::Segment::create(ranks, comm::random_nonce()).value();
  std::vector<pid_t> children;
  std::fflush(nullptr);
  for (int rank = 0; rank < ranks; ++rank) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    int status = kNoGpu;
    if (cuda::open_first_device().ok()) {
      body(*comm::shared_memory_rank(segment, rank));
      status = ::testing::Test::HasFailure() ? 1 : 0;
    }
    std::fflush(nullptr);
    ::_exit(status);
  }
  bool skipped = false;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    skipped = skipped || code == kNoGpu;
    EXPECT_TRUE(code == 0 || code == kNoGpu) << "a rank ended with status " << code;
  }
  if (skipped) GTEST_SKIP() << "no GPU here";
}

/// Rank 0's.
void on_all_ranks(comm::Communicator& ranks, Ids* tokens) {
  std::vector<std::byte> message(tokens->size() * sizeof(int32_t));
  std::memcpy(message.data(), tokens->data(), message.size());
  VORTEX_CHECK(ranks.broadcast(&message).ok());
  tokens->resize(message.size() / sizeof(int32_t));
  std::memcpy(tokens->data(), message.data(), message.size());
}

enum class Way { kHost, kNccl };

struct Case {
  std::string model;
  int ranks = 2;
  Way way = Way::kHost;
  std::string flow;  // empty: dense
  int32_t budget = 0;
};

std::string test_name(const ::testing::TestParamInfo<Case>& test) {
  const Case& of = test.param;
  return fmt::format("{}_on_{}{}{}", of.model, of.ranks, of.flow.empty() ? "" : "_" + of.flow,
                     of.way == Way::kNccl ? "_nccl" : "");
}

void PrintTo(const Case& of, std::ostream* out) { *out << of.model; }

/// What one rank computes of a prompt and the tokens after it.
struct Answer {
  Ids tokens;  // fed, one by one
  Rows rows;   // of the prompt's end and of each token
  std::vector<int64_t> pages_read;
};

class CudaRanksTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override { ::setenv("VORTEX_NCCL_LIBRARY", VORTEX_NCCL_DOUBLE, 1); }

  std::string folder() const { return source_path("tests/data/tiny/" + GetParam().model); }
  /// Of 37 tokens, or of 300 where pages are to be chosen.
  Ids prompt() const {
    const auto golden = load_golden("tiny/" + GetParam().model + "/golden.json");
    return golden["cases"][GetParam().flow.empty() ? 1 : 2]["input_ids"].get<Ids>();
  }

  /// The rig and what it needs.
  struct Rig {
    WorkerPool pool{1};
    std::unique_ptr<flow::CompiledFlow> flow;
    std::unique_ptr<CudaRig> rig;
  };

  std::unique_ptr<Rig> make_rig(comm::Communicator* ranks) const {
    auto out = std::make_unique<Rig>();
    CudaRigOptions options{.max_tokens = 512};
    if (!GetParam().flow.empty()) {
      VortexConfig config;
      set_flow(GetParam().flow, &config);
      const ModelConfig model = ModelFiles::open(folder()).value()->config();
      out->flow = compile_flow(config, model, {DType::kBF16, "", &out->pool}).value();
      options.flow = out->flow.get();
      options.budget = GetParam().budget;
      options.page_tokens = static_cast<int>(config.block_size);
    }
    options.ranks = ranks;
    if (ranks != nullptr)
      options.device = GetParam().way == Way::kHost ? cuda::host_communicator(ranks) : cuda::nccl_communicator(ranks);
    out->rig = std::make_unique<CudaRig>(folder(), std::move(options));
    return out;
  }

  /// `tokens`: to be fed; empty: the likeliest of each row.
  Answer answer(CudaRig& rig, Ids tokens) const {
    Answer out;
    out.rows = rig.prefill(prompt(), 4);
    for (int i = 0; i < kDecodes; ++i) {
      if (tokens.size() == static_cast<size_t>(i)) tokens.push_back(sample::argmax(out.rows.back()));
      out.rows.push_back(rig.decode(tokens[static_cast<size_t>(i)]));
      out.pages_read.push_back(rig.result().pages_read.at(0));
    }
    out.tokens = std::move(tokens);
    return out;
  }

  /// On rank 0, and its tokens on all.
  Answer answer_of_one_rank(comm::Communicator& ranks) const {
    Answer one;
    if (ranks.rank() == 0) one = answer(*make_rig(nullptr)->rig, {});
    on_all_ranks(ranks, &one.tokens);
    return one;
  }
};

double relative_error(const std::vector<float>& a, const std::vector<float>& reference) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double{a[i]} - reference[i], 2);
    norm += std::pow(double{reference[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

/// By the median: where two experts score almost the same, a token may take the other one, and its row is another.
void expect_alike(const Rows& rows, const Rows& reference) {
  ASSERT_EQ(rows.size(), reference.size());
  std::vector<double> errors;
  for (size_t i = 0; i < rows.size(); ++i) errors.push_back(relative_error(rows[i], reference[i]));
  std::ranges::nth_element(errors, errors.begin() + std::ssize(errors) / 2);
  EXPECT_LT(errors[errors.size() / 2], 0.02);
}

TEST_P(CudaRanksTest, LogitsAndPagesOfOneRank) {
  on_ranks(GetParam().ranks, [&](comm::Communicator& ranks) {
    const Answer one = answer_of_one_rank(ranks);
    const auto several = make_rig(&ranks);
    const Answer ours = answer(*several->rig, one.tokens);
    if (ranks.rank() != 0) return;
    expect_alike(ours.rows, one.rows);
    EXPECT_EQ(ours.pages_read, one.pages_read);
  });
}

/// A step is launched before the tokens of the one before it are known to any host.
TEST_P(CudaRanksTest, TokensDrawnOnRank0ReachTheOthers) {
  on_ranks(GetParam().ranks, [&](comm::Communicator& ranks) {
    const auto several = make_rig(&ranks);
    CudaRig& rig = *several->rig;
    rig.prefill(prompt(), 1);
    const int32_t first = 7;
    Ids drawn = rig.decode_ahead(first, kDecodes);
    on_all_ranks(ranks, &drawn);
    ASSERT_EQ(drawn.size(), size_t{kDecodes});
    rig.restart();
    rig.prefill(prompt(), 1);
    for (int i = 0; i < kDecodes; ++i) {
      const auto row = rig.decode(i == 0 ? first : drawn[static_cast<size_t>(i) - 1]);
      if (ranks.rank() != 0) continue;
      EXPECT_EQ(sample::argmax(row), drawn[static_cast<size_t>(i)]) << i;
    }
  });
}

/// Four ranks hold two kv heads in two copies each.
INSTANTIATE_TEST_SUITE_P(Dense, CudaRanksTest,
                         ::testing::Values(Case{"llama"}, Case{"llama", 4}, Case{"qwen2"}, Case{"qwen3"},
                                           Case{"qwen3_moe"}, Case{"deepseek_v2"}, Case{"deepseek_v2", 3},
                                           Case{"deepseek_v3"}, Case{"glm4_moe_lite"}, Case{"glm4_moe"},
                                           Case{"minimax_m2"}, Case{"minimax_m2", 4}, Case{"gemma3_text"},
                                           Case{"gpt_oss"}),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Sparse, CudaRanksTest,
                         ::testing::Values(Case{"llama", 2, Way::kHost, "block_sparse_attention", 6},
                                           Case{"llama", 4, Way::kHost, "block_sparse_attention", 6},
                                           Case{"deepseek_v2", 2, Way::kHost, "quest_mla", 6},
                                           Case{"deepseek_v2", 3, Way::kHost, "quest_mla", 6}),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Graphs, CudaRanksTest,
                         ::testing::Values(Case{"llama", 2, Way::kNccl}, Case{"gemma3_text", 2, Way::kNccl},
                                           Case{"deepseek_v2", 2, Way::kNccl, "quest_mla", 6}),
                         test_name);

/// Each number of a query says whose it is; heads divide 1, 1, 2, and kv heads are in two copies.
TEST(CudaRanksRows, HoldTheHeadsOfAllRanksInOrder) {
  constexpr int kQueries = 2;
  const auto number = [](int query, int64_t head) { return static_cast<float>(16 * query) + static_cast<float>(head); };
  for (const auto& [model, count] : {std::pair("deepseek_v2", 3), std::pair("llama", 4)}) {
    on_ranks(count, [&](comm::Communicator& comm) {
      const auto files = ModelFiles::open(source_path(std::string("tests/data/tiny/") + model)).value();
      ASSERT_TRUE(files->split(comm.rank(), comm.size()).ok());
      cuda::CudaRanks ranks(cuda::host_communicator(&comm), *files);
      ranks.prepare(kQueries);
      const Range heads = ranks.share().heads;
      const int64_t dim = ranks.whole().head_dim, row = ranks.whole().heads / ranks.whole().kv_heads;
      std::vector<__nv_bfloat16> q(static_cast<size_t>(2 * kQueries * heads.size() * dim));
      for (size_t i = 0; i < q.size() / 2; ++i) {
        const int64_t head = static_cast<int64_t>(i) / dim;
        q[i] = __float2bfloat16(number(static_cast<int>(head / heads.size()), heads.begin + head % heads.size()));
      }
      const auto device = cuda::to_device<__nv_bfloat16>(q);
      std::vector<__nv_bfloat16> rows(static_cast<size_t>(kQueries * row * dim));
      const auto stream = cuda::make_stream();
      const auto* whole = ranks.whole_rows(device.data(), kQueries, stream.get());
      VORTEX_CUDA_CHECK(cudaStreamSynchronize(stream.get()));
      VORTEX_CUDA_CHECK(cudaMemcpy(rows.data(), whole, rows.size() * sizeof rows[0], cudaMemcpyDeviceToHost));
      const int64_t first = ranks.share().kv_heads.begin * row;
      for (size_t i = 0; i < rows.size(); ++i) {
        const int64_t head = static_cast<int64_t>(i) / dim;
        ASSERT_EQ(__bfloat162float(rows[i]), number(static_cast<int>(head / row), first + head % row)) << i;
      }
    });
  }
}

/// A rank that ends while the others wait for it in a replayed step.
TEST(CudaRanksFailure, ADeadRankEndsTheStep) {
  ::setenv("VORTEX_NCCL_LIBRARY", VORTEX_NCCL_DOUBLE, 1);
  on_ranks(2, [](comm::Communicator& ranks) {
    CudaRigOptions options{.max_tokens = 512, .ranks = &ranks};
    options.device = cuda::nccl_communicator(&ranks);
    CudaRig rig(source_path("tests/data/tiny/llama"), std::move(options));
    const Ids prompt = {1, 2, 3};
    rig.prefill(prompt, 1);
    for (int i = 0; i < 3; ++i) rig.decode(5);
    if (ranks.rank() == 1) {
      std::fflush(nullptr);
      ::_exit(0);
    }
    const Status status = rig.try_decode(5);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().where, "rank 1") << status.error().to_string();
  });
}

}  // namespace
}  // namespace vortex::testing

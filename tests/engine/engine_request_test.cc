// Requests: sampling, stopping, cancelling, refusals, and one request's fault staying its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/engine_rig.h"

namespace vortex::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class EngineRequestTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { engine_ = start(recall_options()); }
  static void TearDownTestSuite() { engine_.reset(); }

  static GenerateRequest sampled(uint64_t seed) {
    GenerateRequest request = greedy_request(prompt(), 40);
    request.sampling.temperature = 1.5;
    request.sampling.seed = seed;
    return request;
  }
  static std::vector<int32_t> prompt() { return golden_prompt(425).ids; }
  static Completion run(GenerateRequest request) { return Pending(*engine_, std::move(request)).wait(); }
  static std::string error_of(GenerateRequest request) {
    const auto done = engine_->generate(std::move(request));
    return done.ok() ? "no error" : done.error().to_string();
  }

  static inline std::unique_ptr<Engine> engine_;
};

TEST_F(EngineRequestTest, SeedDecides) {
  const Completion first = run(sampled(7));
  EXPECT_EQ(run(sampled(7)).text, first.text);
  EXPECT_EQ(run(sampled(7)).tokens, first.tokens);
  EXPECT_NE(run(sampled(8)).tokens, first.tokens);
}

TEST_F(EngineRequestTest, StopStringCutsTheText) {
  const Completion whole = run(greedy_request(prompt(), 32));
  ASSERT_GT(whole.text.size(), 20u);
  GenerateRequest request = greedy_request(prompt(), 32);
  request.sampling.stop = {"no such text", whole.text.substr(9, 6)};
  const Completion cut = run(request);
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(request.sampling.stop[1])));
  EXPECT_EQ(cut.finish_reason, FinishReason::kStop);
  EXPECT_LT(cut.usage.completion_tokens, 32);
}

TEST_F(EngineRequestTest, StopTokenEndsWithoutItsText) {
  const std::vector<int32_t> greedy = golden_prompt(425).greedy;
  GenerateRequest request = greedy_request(prompt(), 32);
  request.sampling.stop_token_ids = {greedy[5]};
  const Completion done = run(request);
  EXPECT_EQ(done.finish_reason, FinishReason::kStop);
  EXPECT_EQ(done.tokens, std::vector<int32_t>(greedy.begin(), greedy.begin() + 6));
  EXPECT_EQ(done.text, run(greedy_request(prompt(), 5)).text);
}

TEST_F(EngineRequestTest, EndOfTextStopsUnlessIgnored) {
  GenerateRequest request = greedy_request(prompt(), 64);
  EXPECT_EQ(run(request).usage.completion_tokens, 64);
  request.sampling.ignore_eos = false;
  const Completion done = run(request);
  EXPECT_EQ(done.finish_reason, FinishReason::kStop);
  EXPECT_EQ(done.tokens.back(), 2) << "end of turn";
  request.sampling.min_tokens = done.usage.completion_tokens + 5;
  EXPECT_GE(run(request).usage.completion_tokens, request.sampling.min_tokens);
}

TEST_F(EngineRequestTest, MaxTokensAndPenaltyAreObeyed) {
  EXPECT_EQ(run(greedy_request(prompt(), 1)).usage.completion_tokens, 1);
  GenerateRequest request = greedy_request(prompt(), 32);
  request.sampling.repetition_penalty = 100.0;
  const Completion done = run(request);
  EXPECT_EQ(done.usage.completion_tokens, 32);
  EXPECT_EQ(std::set<int32_t>(done.tokens.begin(), done.tokens.end()).size(), 32u) << "no token comes twice";
}

TEST_F(EngineRequestTest, StreamedTextIsTheText) {
  std::string streamed;
  int ends = 0;
  const auto done = engine_->generate(sampled(3), [&](const StreamEvent& event) {
    streamed += event.text;
    ends += event.completion != nullptr;
  });
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(streamed, done->text);
  EXPECT_EQ(ends, 1);
}

TEST_F(EngineRequestTest, TheContextsEndEndsTheText) {
  EngineOptions options = recall_options();
  options.max_model_len = 440;
  auto engine = start(options);
  GenerateRequest request = greedy_request(prompt(), -1);
  const auto done = engine->generate(request);
  ASSERT_TRUE(done.ok()) << done.error().to_string();
  EXPECT_EQ(done->usage.completion_tokens, 15);
  EXPECT_EQ(done->finish_reason, FinishReason::kLength);
}

TEST_F(EngineRequestTest, RefusalsSayWhatAndHowMuch) {
  EXPECT_THAT(error_of(greedy_request(std::vector<int32_t>(9000, 5), 4)), AllOf(HasSubstr("9000"), HasSubstr("8192")));
  EXPECT_THAT(error_of(greedy_request({}, 4)), HasSubstr("no tokens"));
  EXPECT_THAT(error_of(greedy_request({5, 4096}, 4)), AllOf(HasSubstr("4096"), HasSubstr("vocabulary")));
  EXPECT_THAT(error_of(greedy_request({5, -1}, 4)), HasSubstr("-1"));
  EXPECT_THAT(error_of(greedy_request({5}, -2)), HasSubstr("max_tokens"));
  GenerateRequest request = greedy_request({5}, 4);
  request.sampling.top_p = 0.0;
  EXPECT_THAT(error_of(request), HasSubstr("top_p: 0 is out of range"));
  EXPECT_EQ(run(greedy_request(prompt(), 4)).usage.completion_tokens, 4) << "the engine goes on";
}

TEST_F(EngineRequestTest, CancelInPrefillAndInDecode) {
  using Clock = std::chrono::steady_clock;
  Pending prefill(*engine_, greedy_request(golden_prompt(4012).ids, 2000));
  prefill.wait_for_prompt(512);
  engine_->cancel(prefill.id());
  EXPECT_EQ(prefill.wait().finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(prefill.wait().usage.completion_tokens, 0);

  Pending decode(*engine_, greedy_request(prompt(), 4000));
  decode.wait_for_text();
  const auto asked = Clock::now();
  engine_->cancel(decode.id());
  const Completion done = decode.wait();
  EXPECT_LT(Clock::now() - asked, std::chrono::seconds(5));
  EXPECT_EQ(finish_reason_name(done.finish_reason), "abort");
  EXPECT_GT(done.usage.completion_tokens, 0);
  EXPECT_FALSE(done.text.empty());
  EXPECT_LT(done.usage.completion_tokens, 4000);

  engine_->cancel(decode.id());  // gone already
  engine_->cancel(123456789);
  EXPECT_EQ(run(greedy_request(prompt(), 32)).tokens, golden_prompt(425).greedy);
}

TEST_F(EngineRequestTest, DestructionCancels) {
  EngineOptions options = recall_options();
  options.max_num_seqs = 2;
  auto engine = start(options);
  std::vector<Pending> pending;
  for (int i = 0; i < 4; ++i) pending.emplace_back(*engine, greedy_request(prompt(), 4000));  // two of them wait
  pending[0].wait_for_text();
  engine.reset();
  for (Pending& one : pending) EXPECT_EQ(one.wait().finish_reason, FinishReason::kCancelled);
}

TEST_F(EngineRequestTest, SyntheticContextHoldsItsPages) {
  EngineOptions options = recall_options();
  options.vortex = sparse_config("gqa_quest_sparse_attention");
  auto engine = start(options);
  GenerateRequest request = greedy_request(std::vector<int32_t>(6400, 9), 5);
  request.synthetic_context = true;
  const auto done = engine->generate(request);
  ASSERT_TRUE(done.ok()) << done.error().to_string();
  EXPECT_EQ(done->usage.completion_tokens, 5);
  EXPECT_EQ(done->sparsity.pages_held, 4 * 6 * 2 * 401);
  EXPECT_EQ(done->sparsity.pages_read, 4 * 6 * 2 * 32);
  EXPECT_EQ(done->sparsity.steps_sparse, 4);
  EXPECT_EQ(done->tokens, engine->generate(request)->tokens);
}

std::string vortex_error(const std::function<void(VortexConfig&)>& change) {
  EngineOptions options = recall_options();
  options.vortex = sparse_config("gqa_quest_sparse_attention");
  change(*options.vortex);
  return start_error(options);
}

TEST(EngineStartTest, FlowsAndConfigs) {
  EXPECT_EQ(vortex_error([](VortexConfig& c) { c.module_name = "gqa_quest_sparse_atention"; }),
            "module_name: no flow 'gqa_quest_sparse_atention' (did you mean 'gqa_quest_sparse_attention'?)");
  EXPECT_THAT(vortex_error([](VortexConfig& c) { c.module_name.reset(); }), HasSubstr("module_name"));
  EXPECT_THAT(vortex_error([](VortexConfig& c) { c.module_path = "flow.py"; }), HasSubstr("module_path"));
  EXPECT_THAT(vortex_error([](VortexConfig& c) { c.schedule_policy = "retrun 3;"; }), HasSubstr("schedule_policy"));
  EXPECT_THAT(vortex_error([](VortexConfig& c) { c.layers_skip = std::vector<int64_t>{6}; }),
              AllOf(HasSubstr("layers_skip: 6"), HasSubstr("0 to 5")));
  EXPECT_THAT(vortex_error([](VortexConfig& c) { c.topk_val = 0; }), HasSubstr("topk_val: 0"));
}

std::string option_error(const std::function<void(EngineOptions&)>& change) {
  EngineOptions options = recall_options();
  change(options);
  return start_error(options);
}

TEST(EngineStartTest, DeviceThatIsNotThere) {
  ::setenv("VORTEX_CUDA_LIBRARY", "/no/such/library.so", 1);
  EXPECT_THAT(option_error([](EngineOptions& o) { o.device = "cuda"; }),
              AllOf(HasSubstr("--device: the CUDA library is not at /no/such/library.so"), HasSubstr("--device cpu")));
  EngineOptions automatic = recall_options();
  automatic.device = "auto";
  EXPECT_EQ(start(automatic)->info().threads, 2);
  ::unsetenv("VORTEX_CUDA_LIBRARY");
}

TEST(EngineStartTest, Options) {
  EXPECT_THAT(option_error([](EngineOptions& o) { o.dtype = "float31"; }),
              AllOf(HasSubstr("float31"), HasSubstr("float32")));
  EXPECT_THAT(option_error([](EngineOptions& o) { o.kv_cache_dtype = "int2"; }),
              AllOf(HasSubstr("int2"), HasSubstr("int8")));
  EXPECT_THAT(option_error([](EngineOptions& o) { o.quantize = "q2_k"; }), AllOf(HasSubstr("q2_k"), HasSubstr("q8_0")));
  EXPECT_THAT(option_error([](EngineOptions& o) {
                o.dtype = "float32";
                o.quantize = "q4_0";
              }),
              AllOf(HasSubstr("--quantize: products with q4_0"), HasSubstr("--kv-cache-dtype float32")));
  EXPECT_THAT(option_error([](EngineOptions& o) { o.max_num_seqs = 0; }), HasSubstr("max-num-seqs cannot be '0'"));
  EXPECT_THAT(option_error([](EngineOptions& o) { o.page_size = -16; }), HasSubstr("page-size cannot be '-16'"));
  EXPECT_THAT(option_error([](EngineOptions& o) { o.max_model_len = 40000; }),
              AllOf(HasSubstr("40000"), HasSubstr("32768")));
  EXPECT_THAT(option_error([](EngineOptions& o) { o.model = "/no/such/model"; }), HasSubstr("/no/such/model"));
  EXPECT_THAT(option_error([](EngineOptions& o) {
                o.page_size = 24;
                o.vortex = sparse_config("block_sparse_attention");
              }),
              AllOf(HasSubstr("24"), HasSubstr("multiple of the block size 16")));
  EXPECT_THAT(option_error([](EngineOptions& o) {
                o.kv_cache_memory_bytes = 65536;
                o.page_size = 64;
              }),
              AllOf(HasSubstr("65536 bytes"), HasSubstr("--kv-cache-memory-bytes")));
}

TEST(EngineStartTest, APromptThatThePoolCannotHoldIsRefused) {
  EngineOptions options = recall_options();
  options.kv_cache_memory_bytes = int64_t{64} * 16 * 6144;  // 1024 tokens
  auto engine = start(options);
  EXPECT_EQ(engine->info().max_model_len, 1024);
  const auto done = engine->generate(greedy_request(golden_prompt(1969).ids, 4));
  ASSERT_FALSE(done.ok());
  EXPECT_THAT(done.error().to_string(),
              AllOf(HasSubstr("1969"), HasSubstr("1024"), HasSubstr("--kv-cache-memory-bytes")));
  const auto full = engine->generate(greedy_request(golden_prompt(917).ids, -1));
  ASSERT_TRUE(full.ok());
  EXPECT_EQ(full->usage.completion_tokens, 1024 - 917);
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<int64_t>(bytes.size()));
}

/// One tensor in a safetensors file of its own.
std::string safetensors_of(const std::string& name, const nlohmann::json& shape, const std::string& bytes) {
  const nlohmann::json entry = {{"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {0, bytes.size()}}};
  const std::string header = nlohmann::json{{name, entry}}.dump();
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + header + bytes;
}

std::string error_of_engine(Engine& engine) {
  const auto done = engine.generate(greedy_request({5}, 1));
  return done.ok() ? "no error" : done.error().to_string();
}

/// recall-gqa with one token's embedding made of NaN; its logits come from an unharmed copy.
std::string poisoned_model(int32_t token) {
  namespace fs = std::filesystem;
  const fs::path source = std::string(VORTEX_SOURCE_DIR) + "/models/recall-gqa";
  const fs::path folder = fs::path(::testing::TempDir()) / "poisoned-recall-gqa";
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (const auto& entry : fs::directory_iterator(source))
    if (entry.is_regular_file()) write_bytes(folder / entry.path().filename(), read_bytes(entry.path()));
  const char* shard = "model-00001-of-00002.safetensors";
  std::string bytes = read_bytes(folder / shard);
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  const nlohmann::json embedding = nlohmann::json::parse(bytes.substr(8, size))["model.embed_tokens.weight"];
  const size_t begin = 8 + size + embedding["data_offsets"][0].get<size_t>();
  const size_t end = 8 + size + embedding["data_offsets"][1].get<size_t>();
  write_bytes(folder / "head.safetensors",
              safetensors_of("lm_head.weight", embedding["shape"], bytes.substr(begin, end - begin)));
  const std::vector<uint16_t> row(384, 0x7fc0);  // bfloat16 NaN
  std::memcpy(bytes.data() + begin + static_cast<size_t>(token) * 768, row.data(), 768);
  write_bytes(folder / shard, bytes);
  auto index = nlohmann::json::parse(read_bytes(folder / "model.safetensors.index.json"));
  index["weight_map"]["lm_head.weight"] = "head.safetensors";
  write_bytes(folder / "model.safetensors.index.json", index.dump());
  auto config = nlohmann::json::parse(read_bytes(folder / "config.json"));
  config["tie_word_embeddings"] = false;
  write_bytes(folder / "config.json", config.dump());
  return folder;
}

TEST(EngineFaultTest, F13NanEndsItsOwnRequestOnly) {
  constexpr int32_t kPoison = 4000;
  EngineOptions options = recall_options(poisoned_model(kPoison));
  options.vortex = sparse_config("gqa_quest_sparse_attention", 8);
  auto engine = start(options);
  const std::vector<int32_t> good = golden_prompt(917).ids;
  const Completion alone = Pending(*engine, greedy_request(good, 24)).wait();
  ASSERT_FALSE(alone.error) << alone.error->to_string();

  std::vector<int32_t> bad = good;
  bad[100] = kPoison;
  Pending first(*engine, greedy_request(good, 24)), poisoned(*engine, greedy_request(bad, 24)),
      last(*engine, greedy_request(good, 24));
  const Completion failed = poisoned.wait();
  ASSERT_TRUE(failed.error);
  EXPECT_EQ(failed.finish_reason, FinishReason::kError);
  EXPECT_THAT(failed.error->to_string(), AllOf(HasSubstr("logits"), HasSubstr("not finite")));
  EXPECT_EQ(first.wait().tokens, alone.tokens);
  EXPECT_EQ(last.wait().tokens, alone.tokens);
  EXPECT_EQ(Pending(*engine, greedy_request(good, 24)).wait().tokens, alone.tokens);
  EXPECT_EQ(engine->stats().corrupted_requests, 1);
  // Nothing of the corrupted prompt is kept: the same prompt again computes all but what the good ones left.
  EXPECT_EQ(Pending(*engine, greedy_request(bad, 24)).wait().usage.cached_tokens, 96);
}

/// A bug of ours in a step, here thrown by a callback: everybody hears of it, and nobody is left waiting.
TEST(EngineFaultTest, F16AFaultOfTheEngineReachesEveryone) {
  auto engine = start(recall_options());
  Pending other(*engine, greedy_request(golden_prompt(425).ids, 4000));
  other.wait_for_text();
  engine->submit(greedy_request({5, 6}, 4), [](const StreamEvent& event) {
    if (event.token) throw CheckFailure("a bug");
  });
  const Completion ended = other.wait();
  ASSERT_TRUE(ended.error);
  EXPECT_EQ(ended.error->where, "engine");
  EXPECT_THAT(ended.error->to_string(), HasSubstr("a bug"));
  ASSERT_TRUE(engine->failure());
  EXPECT_THAT(error_of_engine(*engine), HasSubstr("a bug")) << "and whoever comes later";
}

TEST(EngineFaultTest, F12NoMemoryForAStepEndsItsRequestsOnly) {
  auto engine = start(recall_options());
  Pending first(*engine, greedy_request(golden_prompt(425).ids, 4000));
  first.wait_for_text();
  engine->submit(greedy_request({5, 6}, 4), [](const StreamEvent& event) {
    if (event.token) throw std::bad_alloc();
  });
  const Completion ended = first.wait();
  ASSERT_TRUE(ended.error);
  EXPECT_EQ(ended.error->code, ErrorCode::kUnavailable);
  EXPECT_FALSE(engine->failure());
  EXPECT_EQ(Pending(*engine, greedy_request(golden_prompt(425).ids, 8)).wait().finish_reason, FinishReason::kLength);
}

}  // namespace
}  // namespace vortex::testing

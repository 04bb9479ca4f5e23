// Every family on the GPU against the CPU in float32, on the goldens' prompts: whole, in chunks, and decoding.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "golden/golden_json.h"
#include "sample/sampler.h"
#include "support/cuda_rig.h"
#include "support/decoder_rig.h"
#include "tensor/half.h"

namespace vortex::testing {
namespace {

using Ids = std::vector<int32_t>;

/// A copy of a model folder whose float32 tensors hold what bfloat16 can, as the GPU rounds them: what is compared is
/// then arithmetic alone.
class RoundedCopy {
 public:
  explicit RoundedCopy(const std::string& folder)
      : folder_(std::filesystem::path(::testing::TempDir()) / ("rounded-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::copy(folder, folder_, std::filesystem::copy_options::recursive);
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      if (entry.path().extension() == ".safetensors") round(entry.path());
  }
  ~RoundedCopy() { std::filesystem::remove_all(folder_); }
  std::string folder() const { return folder_.string(); }

 private:
  static void round(const std::filesystem::path& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), {});
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof(header));
    const auto tensors = nlohmann::json::parse(bytes.substr(8, header));
    for (const auto& [name, tensor] : tensors.items()) {
      if (name == "__metadata__" || tensor["dtype"] != "F32" || tensor["shape"].size() < 2) continue;
      const auto begin = tensor["data_offsets"][0].get<size_t>(), end = tensor["data_offsets"][1].get<size_t>();
      for (size_t at = 8 + header + begin; at < 8 + header + end; at += sizeof(float)) {
        float value = 0;
        std::memcpy(&value, &bytes[at], sizeof(value));
        value = round_to_bf16(value);
        std::memcpy(&bytes[at], &value, sizeof(value));
      }
    }
    file.seekp(0);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  std::filesystem::path folder_;
};

double relative_error(const std::vector<float>& a, const std::vector<float>& reference) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - reference[i]) * (double{a[i]} - reference[i]);
    norm += double{reference[i]} * reference[i];
  }
  return std::sqrt(difference / norm);
}

/// Errors of a model's rows, and what the same model makes of rounding keys and values to bfloat16 on the CPU: tiny
/// random models differ much in what a rounding does to their logits. Judged by the median: where two experts score
/// almost the same, a token may take the other one, and its row is another.
class Comparison {
 public:
  ~Comparison() {
    const double ours = median(&errors_), yardstick = median(&rounded_);
    EXPECT_LT(ours, 0.03 + 5 * yardstick) << "keys and values rounded: " << yardstick;
  }

  void add(const Rows& rows, const Rows& rounded, const Rows& reference) {
    ASSERT_EQ(rows.size(), reference.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      errors_.push_back(relative_error(rows[i], reference[i]));
      rounded_.push_back(relative_error(rounded[i], reference[i]));
    }
  }

 private:
  static double median(std::vector<double>* values) {
    std::nth_element(values->begin(), values->begin() + static_cast<int64_t>(values->size() / 2), values->end());
    return (*values)[values->size() / 2];
  }

  std::vector<double> errors_, rounded_;
};

class CudaGoldenTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!cuda::open_first_device().ok()) GTEST_SKIP() << "no GPU here";
  }
  std::string folder() const { return std::string(VORTEX_SOURCE_DIR) + "/tests/data/tiny/" + GetParam(); }
  std::vector<Ids> prompts() const {
    std::vector<Ids> all;
    const auto golden = load_golden("tiny/" + GetParam() + "/golden.json");
    for (const auto& one : golden["cases"]) all.push_back(one["input_ids"].get<Ids>());
    return all;
  }
};

TEST_P(CudaGoldenTest, LogitsWholeInChunksAndDecoding) {
  const RoundedCopy model(folder());
  CudaRig gpu(model.folder());
  DecoderRig cpu(model.folder(), RigBackend::kCpu, DType::kF32);
  DecoderRig rounded(model.folder(), RigBackend::kCpu, DType::kBF16);
  Comparison comparison;
  for (const Ids& ids : prompts()) {
    gpu.restart();
    cpu.restart();
    rounded.restart();
    const Rows reference = cpu.prefill(ids, 4), yardstick = rounded.prefill(ids, 4);
    comparison.add(gpu.prefill(ids, 4), yardstick, reference);
    int32_t next = sample::argmax(reference.back());
    for (int i = 0; i < 8; ++i) {
      const std::vector<float> row = cpu.decode(next);
      comparison.add({gpu.decode(next)}, {rounded.decode(next)}, {row});
      next = sample::argmax(row);
    }
    gpu.restart();
    const size_t head = ids.size() - 4;
    for (size_t i = 0; i < head; i += 7) gpu.prefill(std::span(ids).subspan(i, std::min<size_t>(7, head - i)), 0);
    comparison.add(gpu.prefill(std::span(ids).subspan(head), 4), yardstick, reference);
  }
}

/// Three bits of mantissa leave a number within 6 %; logits that have nothing to do with each other differ by 1.4.
TEST_P(CudaGoldenTest, KeysAndValuesInFp8) {
  const RoundedCopy model(folder());
  CudaRig wide(model.folder()), narrow(model.folder(), {.kv_dtype = DType::kF8E4M3});
  const Ids ids = prompts().front();
  const Rows reference = wide.prefill(ids, 4), rows = narrow.prefill(ids, 4);
  std::vector<double> errors;
  for (size_t i = 0; i < rows.size(); ++i) errors.push_back(relative_error(rows[i], reference[i]));
  for (int i = 0; i < 4; ++i) errors.push_back(relative_error(narrow.decode(ids[0]), wide.decode(ids[0])));
  std::ranges::sort(errors);
  EXPECT_GT(errors.back(), 0) << "nothing was rounded";
  EXPECT_LT(errors[errors.size() / 2], 0.3);
}

INSTANTIATE_TEST_SUITE_P(Models, CudaGoldenTest,
                         ::testing::Values("llama", "llama3-rope", "mistral", "qwen2", "qwen3", "qwen3-yarn",
                                           "qwen3_moe", "deepseek_v2", "deepseek_v3", "deepseek_v3-yarn",
                                           "glm4_moe_lite", "glm4_moe", "minimax_m2", "gemma3_text", "gpt_oss"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

class CudaRecallTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!cuda::open_first_device().ok()) GTEST_SKIP() << "no GPU here";
  }
};

TEST_P(CudaRecallTest, AnswersWhatTheGoldenAnswers) {
  CudaRig rig(std::string(VORTEX_SOURCE_DIR) + "/models/" + GetParam(), {.max_tokens = 8192});
  int answered = 0;
  const auto goldens = load_golden("golden/" + GetParam() + ".json");
  for (const auto& golden : goldens["bfloat16"]) {
    const Ids answer = golden["expected_answer"].get<Ids>();
    Ids theirs = golden["greedy"].get<Ids>();
    theirs.resize(std::min(theirs.size(), answer.size()));
    if (theirs != answer) continue;
    rig.restart();
    Ids ours = {sample::argmax(rig.prefill(golden["input_ids"].get<Ids>(), 1).back())};
    while (ours.size() < answer.size()) ours.push_back(sample::argmax(rig.decode(ours.back())));
    EXPECT_EQ(ours, answer);
    ++answered;
  }
  EXPECT_GE(answered, 4);
}

INSTANTIATE_TEST_SUITE_P(Models, CudaRecallTest, ::testing::Values("recall-gqa", "recall-mla"), [](const auto& test) {
  std::string name = test.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

}  // namespace
}  // namespace vortex::testing

// Token ids and decoded text against Hugging Face tokenizers 0.23: the shipped model, and small BPEs trained
// on a few hundred words, one for each style of tokenizer.json. A case without "decoded" is one where that
// library loses the text of a non-ASCII added token and ours keeps it.
#include "text/testing.h"

namespace vortex::text {
namespace {

TEST(TokenizerGolden, RecallGqa) {
  const auto tokenizer = load_tokenizer("models/recall-gqa");
  const auto cases = read_repository_json("tests/data/text/recall-tokenizer.json");
  ASSERT_EQ(cases.size(), 31u);
  for (const auto& item : cases) {
    const auto text = item["text"].get<std::string>();
    const auto ids = item["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer->encode(text, SpecialTokens::kParse), ids) << text;
    EXPECT_EQ(tokenizer->decode(ids, false), item["decoded"].get<std::string>()) << text;
  }
}

class TokenizerStyles : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerStyles, EqualHuggingFace) {
  const auto data = read_repository_json(fmt::format("tests/data/text/tokenizers/{}.json", GetParam()));
  const auto tokenizer = Tokenizer::from_json(data["tokenizer"].dump(), "");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  ASSERT_EQ(data["cases"].size(), 120u);
  for (const auto& item : data["cases"]) {
    const auto text = item["text"].get<std::string>();
    const auto ids = item["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ((*tokenizer)->encode(text, SpecialTokens::kParse), ids) << text;
    if (!item.contains("decoded")) continue;
    EXPECT_EQ((*tokenizer)->decode(ids, false), item["decoded"].get<std::string>()) << text;
    EXPECT_EQ((*tokenizer)->decode(ids, true), item["skipped"].get<std::string>()) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerStyles,
                         testing::Values("llama3-style", "gpt2-style", "digits-punctuation", "llama2-style",
                                         "metaspace-first", "metaspace-always", "splits"));

}  // namespace
}  // namespace vortex::text

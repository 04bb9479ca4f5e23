// Token ids and decoded text against Hugging Face tokenizers.
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

}  // namespace
}  // namespace vortex::text

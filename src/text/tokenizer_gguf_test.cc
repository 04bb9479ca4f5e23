#include <gmock/gmock.h>

#include "text/testing.h"

namespace vortex::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Ids: 0 <unk>, 1 <s>, 2 </s>, 3..258 bytes, then the pieces below from 259 on.
GgufVocab sentencepiece_vocab() {
  GgufVocab vocab;
  vocab.model = "llama";
  vocab.bos = 1;
  vocab.eos = 2;
  vocab.unk = 0;
  vocab.add_bos = true;
  vocab.add_space_prefix = true;
  const auto add = [&vocab](std::string piece, int32_t type, float score) {
    vocab.tokens.push_back(std::move(piece));
    vocab.token_types.push_back(type);
    vocab.scores.push_back(score);
  };
  add("<unk>", 2, 0);
  add("<s>", 3, 0);
  add("</s>", 3, 0);
  for (int byte = 0; byte < 256; ++byte) add(fmt::format("<0x{:02X}>", byte), 6, 0);
  add("▁", 1, -10);      // 259
  add("a", 1, -11);      // 260
  add("b", 1, -12);      // 261
  add("ab", 1, -3);      // 262
  add("▁a", 1, -2);      // 263
  add("▁ab", 1, -4);     // 264
  add("bxx", 1, -1);     // 265: unreachable, "xx" is no piece
  add("xb", 1, -1);      // 266: 'x' is no piece, yet it may merge
  add("<tool>", 4, -1);  // 267
  add("<", 1, -20);      // 268
  add("s>", 1, -21);     // 269
  add("s", 1, -22);      // 270
  add(">", 1, -23);      // 271
  return vocab;
}

std::vector<int32_t> encode(const GgufVocab& vocab, std::string_view text, SpecialTokens special) {
  const auto tokenizer = Tokenizer::from_gguf(vocab);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  return (*tokenizer)->encode(text, special);
}

TEST(TokenizerGguf, SentencePieceTakesTheBestScoreFirst) {
  const GgufVocab vocab = sentencepiece_vocab();
  EXPECT_THAT(encode(vocab, "ab", SpecialTokens::kIgnore), ElementsAre(264));  // _a (-2), then _ab
  EXPECT_THAT(encode(vocab, "bab", SpecialTokens::kIgnore), ElementsAre(259, 261, 262));
  EXPECT_THAT(encode(vocab, "axb", SpecialTokens::kIgnore), ElementsAre(263, 266));
  EXPECT_THAT(encode(vocab, "", SpecialTokens::kIgnore), ElementsAre());
}

TEST(TokenizerGguf, SentencePieceFallsBackToBytes) {
  const GgufVocab vocab = sentencepiece_vocab();
  EXPECT_THAT(encode(vocab, "é", SpecialTokens::kIgnore), ElementsAre(259, 3 + 0xC3, 3 + 0xA9));
  EXPECT_THAT(encode(vocab, "xa", SpecialTokens::kIgnore), ElementsAre(259, 3 + 'x', 260));
}

TEST(TokenizerGguf, SentencePieceSpecialTokens) {
  const GgufVocab vocab = sentencepiece_vocab();
  EXPECT_THAT(encode(vocab, "<s>a", SpecialTokens::kParse), ElementsAre(1, 263));
  EXPECT_THAT(encode(vocab, "<s>", SpecialTokens::kIgnore), ElementsAre(259, 268, 269));
  EXPECT_THAT(encode(vocab, "<tool>", SpecialTokens::kIgnore), ElementsAre(267));
}

TEST(TokenizerGguf, SentencePieceDecodes) {
  const auto tokenizer = Tokenizer::from_gguf(sentencepiece_vocab());
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ((*tokenizer)->decode(std::vector<int32_t>{264, 263, 3 + 0xC3, 3 + 0xA9}, true), "ab aé");
  EXPECT_EQ((*tokenizer)->decode(std::vector<int32_t>{1, 264, 2}, true), "ab");
  EXPECT_THAT((*tokenizer)->with_bos_eos(std::vector<int32_t>{264}), ElementsAre(1, 264));
}

// The pieces are the letters of the byte alphabet, so that ids show the words: only "12" and " a" merge.
GgufVocab byte_level_vocab(const std::string& pre) {
  GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = pre;
  vocab.tokens = {"<e>", "1", "2", "3", "Ġ", "a", "12", "Ġa", "aa", "123", "Ċ", "aaa"};
  vocab.token_types = {3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  vocab.merges = {"1 2", "Ġ a", "a a", "12 3"};
  return vocab;
}

TEST(TokenizerGguf, PreTokenizersSplitAsLlamaCppDoes) {
  constexpr auto kIgnore = SpecialTokens::kIgnore;
  EXPECT_THAT(encode(byte_level_vocab("gpt-2"), "123 a", kIgnore), ElementsAre(9, 7));
  EXPECT_THAT(encode(byte_level_vocab("smollm"), "12 1 a", kIgnore), ElementsAre(1, 2, 4, 1, 7));
  EXPECT_THAT(encode(byte_level_vocab("qwen2"), "12 a\na", kIgnore), ElementsAre(1, 2, 7, 10, 5));
  EXPECT_THAT(encode(byte_level_vocab("llama-bpe"), "12312 a", kIgnore), ElementsAre(9, 6, 7));
}

// Merges across the words' ends would show: they come first.
GgufVocab telltale_vocab(const std::string& pre) {
  GgufVocab vocab = byte_level_vocab(pre);
  vocab.tokens = {"<e>", "a", "B", "b", "aB", "aa", "Bb", "'", "s", "a'", "ä", "¸", "Ģ", "aä", "1", "11", "111"};
  vocab.token_types.clear();
  vocab.eos = 0;
  vocab.merges = {"a B", "a ä", "a a", "B b", "a '", "1 1", "11 1"};
  return vocab;
}

TEST(TokenizerGguf, PreTokenizersOfMixtures) {
  constexpr auto kIgnore = SpecialTokens::kIgnore;
  EXPECT_THAT(encode(telltale_vocab("qwen2"), "aaBb", kIgnore), ElementsAre(1, 4, 3)) << "one word";
  for (const char* o200k : {"gpt-4o", "minimax-m2"}) {
    EXPECT_THAT(encode(telltale_vocab(o200k), "aaBb", kIgnore), ElementsAre(5, 6));
    EXPECT_THAT(encode(telltale_vocab(o200k), "a's", kIgnore), ElementsAre(9, 8)) << "a contraction stays";
    EXPECT_THAT(encode(telltale_vocab(o200k), "1111", kIgnore), ElementsAre(16, 14));
    EXPECT_THAT(encode(telltale_vocab(o200k), "a\u4E00", kIgnore), ElementsAre(13, 11, 12));
  }
  EXPECT_THAT(encode(telltale_vocab("glm4"), "a's", kIgnore), ElementsAre(1, 7, 8));
  EXPECT_THAT(encode(telltale_vocab("glm4"), "1111", kIgnore), ElementsAre(16, 14));
  EXPECT_THAT(encode(byte_level_vocab("glm4"), "aaa", kIgnore), ElementsAre(8, 5)) << "unlike Llama 3";
  EXPECT_THAT(encode(telltale_vocab("deepseek-v3"), "a\u4E00", kIgnore), ElementsAre(1, 10, 11, 12));
  EXPECT_THAT(encode(telltale_vocab("deepseek-v3"), "1111aa", kIgnore), ElementsAre(16, 14, 5));
  EXPECT_THAT(encode(telltale_vocab("deepseek-v3"), "a's", kIgnore), ElementsAre(1, 7, 8));
}

// "aaa" is a piece that no merge makes.
TEST(TokenizerGguf, Llama3TakesWholeWords) {
  EXPECT_THAT(encode(byte_level_vocab("llama-bpe"), "aaa", SpecialTokens::kIgnore), ElementsAre(11));
  EXPECT_THAT(encode(byte_level_vocab("qwen2"), "aaa", SpecialTokens::kIgnore), ElementsAre(8, 5));
}

std::string error_of(const GgufVocab& vocab) {
  const auto tokenizer = Tokenizer::from_gguf(vocab);
  return tokenizer.ok() ? "no error" : tokenizer.error().to_string();
}

TEST(TokenizerGguf, NamesWhatIsWrong) {
  EXPECT_THAT(error_of(byte_level_vocab("dbrx")), HasSubstr("'dbrx' is not supported (supported: gpt-2, gpt2, smollm"));
  GgufVocab vocab = byte_level_vocab("gpt-2");
  vocab.model = "bert";
  EXPECT_THAT(error_of(vocab), HasSubstr("'bert' is not supported (supported: gpt2, llama)"));
  vocab = byte_level_vocab("gpt-2");
  vocab.merges.push_back("a z");
  EXPECT_THAT(error_of(vocab), HasSubstr("merge 4: 'a' + 'z'"));
  vocab = byte_level_vocab("gpt-2");
  vocab.merges.push_back("");
  EXPECT_THAT(error_of(vocab), HasSubstr("entry 4 is not a pair"));
  vocab = byte_level_vocab("gpt-2");
  vocab.token_types.pop_back();
  EXPECT_THAT(error_of(vocab), HasSubstr("11 types for 12 tokens"));
  vocab = byte_level_vocab("gpt-2");
  vocab.eos = 12;
  EXPECT_THAT(error_of(vocab), HasSubstr("special token 12 is outside the vocabulary of 12"));
  vocab = sentencepiece_vocab();
  vocab.scores.pop_back();
  EXPECT_THAT(error_of(vocab), HasSubstr("271 scores for 272 tokens"));
}

}  // namespace
}  // namespace vortex::text

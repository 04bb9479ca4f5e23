#include "text/tokenizer.h"

#include <gmock/gmock.h>

#include <ctime>
#include <random>

#include "text/incremental_decoder.h"
#include "text/testing.h"
#include "text/utf8.h"

namespace vortex::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<int32_t>;

class RecallTokenizer : public testing::Test {
 protected:
  std::string random_text(size_t parts) {
    const char* const atoms[] = {"<|im_end|>", "<|", "im_start", "|>", "<|im_st", "art|>", " ",        "\n",   "a",
                                 "hello",      "é",  "e\u0301",  "你", "🙂",    "1",     "\xF0\x9F", "\xFF", "<"};
    std::string text;
    for (size_t i = 0; i < parts; ++i) text += atoms[random_() % std::size(atoms)];
    return text;
  }

  bool has_special(const Ids& ids) const {
    return std::any_of(ids.begin(), ids.end(), [this](int32_t id) { return tokenizer_->is_special(id); });
  }

  std::unique_ptr<Tokenizer> tokenizer_ = load_tokenizer("models/recall-gqa");
  std::mt19937 random_{5};
};

TEST_F(RecallTokenizer, KnowsItsSpecialTokens) {
  EXPECT_EQ(tokenizer_->vocab_size(), 4096);
  EXPECT_EQ(tokenizer_->eos_id(), 2);
  EXPECT_EQ(tokenizer_->pad_id(), 0);
  EXPECT_EQ(tokenizer_->bos_id(), -1);
  EXPECT_FALSE(tokenizer_->adds_bos());
  EXPECT_THAT(tokenizer_->end_ids(), ElementsAre(2));
  EXPECT_TRUE(tokenizer_->is_special(1));
  EXPECT_FALSE(tokenizer_->is_special(3));
  EXPECT_FALSE(tokenizer_->is_special(-1));
  EXPECT_EQ(tokenizer_->token_id("Ġthe"), tokenizer_->encode(" the", SpecialTokens::kParse).at(0));
  EXPECT_EQ(tokenizer_->token_bytes(tokenizer_->token_id("Ġthe")), " the");
  EXPECT_EQ(tokenizer_->token_bytes(1 << 30), "");
}

TEST_F(RecallTokenizer, FindsSpecialTokensInTrustedTextOnly) {
  const std::string text = "<|im_start|>user\n<|im_end|><|im_end|>";
  const size_t user = text.find("<|im_end|>");
  const Ids marked = tokenizer_->encode_marked(text, std::vector<TextRange>{{user, user + 10}});
  EXPECT_EQ(std::count(marked.begin(), marked.end(), 1), 1);
  EXPECT_EQ(std::count(marked.begin(), marked.end(), 2), 1);
  EXPECT_EQ(marked.back(), 2);
  EXPECT_EQ(tokenizer_->decode(marked, false), text);
  EXPECT_FALSE(has_special(tokenizer_->encode(text, SpecialTokens::kIgnore)));
}

TEST_F(RecallTokenizer, OneUntrustedByteSpoilsASpecialToken) {
  const std::string text = "<|im_end|>";
  for (size_t i = 0; i < text.size(); ++i) {
    EXPECT_FALSE(has_special(tokenizer_->encode_marked(text, std::vector<TextRange>{{i, i + 1}}))) << i;
  }
  EXPECT_THAT(tokenizer_->encode_marked(text, std::vector<TextRange>{{0, 0}, {10, 99}}), ElementsAre(2));
}

TEST_F(RecallTokenizer, UserTextJoinsWordsWithTheTemplate) {
  const Ids joined = tokenizer_->encode("<|im_start|>Hello world<|im_end|>", SpecialTokens::kParse);
  const TextRange user{14, 20};
  EXPECT_EQ(tokenizer_->encode_marked("<|im_start|>Hello world<|im_end|>", {&user, 1}), joined);
}

TEST_F(RecallTokenizer, NoUserTextYieldsSpecialTokens) {
  for (int i = 0; i < 3000; ++i) {
    const std::string user = random_text(random_() % 12);
    EXPECT_FALSE(has_special(tokenizer_->encode(user, SpecialTokens::kIgnore))) << user;
    const std::string head = "<|im_start|>" + random_text(2).substr(0, 3);
    const TextRange range{head.size(), head.size() + user.size()};
    const Ids ids = tokenizer_->encode_marked(head + user + "<|im_end|>", {&range, 1});
    EXPECT_EQ(std::count_if(ids.begin(), ids.end(), [this](int32_t id) { return tokenizer_->is_special(id); }), 2);
  }
}

TEST_F(RecallTokenizer, DecodesWhatItEncoded) {
  for (int i = 0; i < 1000; ++i) {
    std::string text = random_text(12);
    const std::string decoded = tokenizer_->decode(tokenizer_->encode(text, SpecialTokens::kIgnore), false);
    for (size_t pos; (pos = text.find("e\u0301")) != std::string::npos;) text.replace(pos, 3, "é");  // NFC
    EXPECT_EQ(decoded, repaired_utf8(text));
  }
}

TEST_F(RecallTokenizer, IncrementalTextEqualsDecode) {
  for (int i = 0; i < 1000; ++i) {
    Ids ids = tokenizer_->encode(random_text(12), SpecialTokens::kParse);
    for (int j = 0; j < 4; ++j)
      ids.insert(ids.begin() + static_cast<long>(random_() % (ids.size() + 1)), static_cast<int32_t>(random_() % 4200));
    for (const bool skip : {false, true}) {
      IncrementalDecoder decoder(*tokenizer_, skip);
      std::string text;
      for (const int32_t id : ids) {
        const std::string piece = decoder.push(id);
        EXPECT_TRUE(is_valid_utf8(piece));
        text += piece;
      }
      EXPECT_EQ(text + decoder.finish(), tokenizer_->decode(ids, skip));
    }
  }
}

TEST_F(RecallTokenizer, HoldsBackHalfACharacter) {
  const Ids ids = tokenizer_->encode("🙂", SpecialTokens::kParse);
  ASSERT_EQ(ids.size(), 4u);
  IncrementalDecoder decoder(*tokenizer_, false);
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_EQ(decoder.push(ids[1]), "");
  EXPECT_EQ(decoder.push(ids[2]), "");
  EXPECT_EQ(decoder.push(ids[3]), "🙂");
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
}

std::string megabyte_of(std::string_view unit) {
  std::string text;
  while (text.size() + unit.size() <= 1 << 20) text += unit;
  return text;
}

// Processor time, so that other work on the machine does not count.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Sanitizers slow everything several times; there the limit only tells linear from quadratic.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kHostileSeconds = 30;
#else
constexpr double kHostileSeconds = 1;
#endif

TEST_F(RecallTokenizer, AMegabyteOfHostileTextTakesUnderASecond) {
  std::string mixed;
  while (mixed.size() < 1 << 20) mixed += random_text(8);
  std::string marks;
  const char* const combining[] = {"\u0301", "\u0327", "\u0323", "\u0345", "\u0308"};
  while (marks.size() < 1 << 20) marks += combining[random_() % std::size(combining)];
  std::vector<std::string> texts = {mixed, marks};
  for (const char* unit : {"x", "e", "the", " ", "\n", "\r\n", " \n", "\u0301\u0327", "你好世界", "🙂", "👩\u200d",
                           "1", ".", "<|", "<|im_end|>", "\u1100\u1161", "\xFF"}) {
    texts.push_back(megabyte_of(unit));
  }
  for (const std::string& text : texts) {
    double start = processor_seconds();
    const Ids ids = tokenizer_->encode(text, SpecialTokens::kIgnore);
    EXPECT_LT(processor_seconds() - start, kHostileSeconds) << "encode " << text.substr(0, 10);
    start = processor_seconds();
    const std::string decoded = tokenizer_->decode(ids, false);
    EXPECT_LT(processor_seconds() - start, kHostileSeconds) << "decode " << text.substr(0, 10);
    EXPECT_GE(decoded.size(), text.size() / 2);
  }
}

// A tokenizer.json of four letters, with one member replaced or added.
Result<std::unique_ptr<Tokenizer>> load_with(const std::string& pointer, const nlohmann::json& value,
                                             std::string_view config = "") {
  nlohmann::json json = {{"added_tokens", nlohmann::json::array()},
                         {"normalizer", nullptr},
                         {"pre_tokenizer", nullptr},
                         {"decoder", nullptr},
                         {"post_processor", nullptr},
                         {"model",
                          {{"type", "BPE"},
                           {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"abab", 3}, {"<s>", 4}}},
                           {"merges", {"a b", "ab ab"}}}}};
  json["added_tokens"].push_back({{"id", 4}, {"content", "<s>"}, {"special", true}});
  json[nlohmann::json::json_pointer(pointer)] = value;
  return Tokenizer::from_json(json.dump(), config);
}

std::string error_with(const std::string& pointer, const nlohmann::json& value) {
  const auto tokenizer = load_with(pointer, value);
  return tokenizer.ok() ? "no error" : tokenizer.error().to_string();
}

TEST(TokenizerJson, MergesInEitherSpelling) {
  const auto pairs = nlohmann::json::parse(R"([["a", "b"], ["ab", "ab"]])");
  for (const auto& tokenizer : {load_with("/version", "1.0"), load_with("/model/merges", pairs)}) {
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
    EXPECT_THAT((*tokenizer)->encode("ababab<s>ba", SpecialTokens::kParse), ElementsAre(3, 2, 4, 1, 0));
  }
}

// Spaces become U+2581 before splitting, so merges cross words; runs of newlines are tokens; the rest falls to bytes.
TEST(TokenizerJson, ReadsGemmasForm) {
  const auto json = nlohmann::json::parse(R"({
    "added_tokens": [{"id": 7, "content": "\n\n", "special": false, "normalized": false},
                     {"id": 8, "content": "<bos>", "special": true}],
    "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false},
    "post_processor": null,
    "decoder": {"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
    "model": {"type": "BPE", "byte_fallback": true, "fuse_unk": true, "ignore_merges": false,
      "vocab": {"\u2581": 0, "a": 1, "b": 2, "\u2581a": 3, "ab": 4, "\u2581ab": 5, "<0x63>": 6, "\n\n": 7, "b\u2581": 9},
      "merges": [["\u2581", "a"], ["a", "b"], ["\u2581a", "b"], ["b", "\u2581"]]}})");
  const auto tokenizer = Tokenizer::from_json(json.dump(), "");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  EXPECT_THAT((*tokenizer)->encode(" ab\n\nc", SpecialTokens::kIgnore), ElementsAre(5, 7, 6));
  EXPECT_THAT((*tokenizer)->encode("b ab b", SpecialTokens::kIgnore), ElementsAre(2, 5, 0, 2));
  EXPECT_THAT((*tokenizer)->encode("b b", SpecialTokens::kIgnore), ElementsAre(9, 2));
  EXPECT_EQ((*tokenizer)->decode(Ids{5, 7, 6, 9}, false), " ab\n\ncb ");
}

TEST(TokenizerJson, NamesWhatIsUnsupported) {
  EXPECT_THAT(error_with("/model/type", "Unigram"), HasSubstr("tokenizer.json: model.type: tokenizer model 'Unigram'"));
  EXPECT_THAT(error_with("/model/type", "WordPiece"), HasSubstr("'WordPiece' is not supported"));
  EXPECT_THAT(error_with("/model/end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(error_with("/normalizer", {{"type", "Precompiled"}}), HasSubstr("normalizer 'Precompiled'"));
  EXPECT_THAT(error_with("/pre_tokenizer", {{"type", "UnicodeScripts"}}), HasSubstr("pre-tokenizer 'UnicodeScripts'"));
  EXPECT_THAT(error_with("/decoder", {{"type", "WordPiece"}}), HasSubstr("decoder 'WordPiece'"));
  EXPECT_THAT(error_with("/post_processor", {{"type", "RobertaProcessing"}}), HasSubstr("'RobertaProcessing'"));
}

TEST(TokenizerJson, NamesWhatIsDamaged) {
  EXPECT_THAT(error_with("/model/vocab/b", 0), HasSubstr("id 0 is both 'a' and 'b'"));
  EXPECT_THAT(error_with("/model/vocab/b", 1ull << 63), HasSubstr("model.vocab['b']"));
  EXPECT_THAT(error_with("/model/vocab/b", -1), HasSubstr("is not an integer from 0 to"));
  EXPECT_THAT(error_with("/model/merges", {"a z"}), HasSubstr("merge 0: 'a' + 'z' names a piece outside"));
  EXPECT_THAT(error_with("/model/merges", {"a b c"}), HasSubstr("entry 0 is not a pair"));
  const nlohmann::json bad_pattern = {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}};
  EXPECT_THAT(error_with("/pre_tokenizer", bad_pattern),
              HasSubstr("pre_tokenizer.pattern: pattern (a: missing closing"));
  const nlohmann::json slow = {{"type", "Split"}, {"pattern", {{"Regex", "(a+a+)+$"}}}, {"behavior", "Isolated"}};
  EXPECT_THAT(error_with("/pre_tokenizer", slow), HasSubstr("takes too long"));
  nlohmann::json quadratic = slow;  // each match ends in time, thousands of them do not
  quadratic["pattern"]["Regex"] = "(?:x{1,24}){1,4}y|x";
  EXPECT_THAT(error_with("/pre_tokenizer", quadratic), HasSubstr("takes too long"));
  quadratic["pattern"]["Regex"] = "(x+x+)+y";
  EXPECT_THAT(error_with("/pre_tokenizer", quadratic), HasSubstr("takes too long"));
  EXPECT_THAT(Tokenizer::from_json("{", "").error().to_string(), HasSubstr("tokenizer.json: "));
  EXPECT_THAT(Tokenizer::from_json(std::string(100000, '['), "").error().to_string(), HasSubstr("deeper than 64"));
}

TEST(TokenizerJson, ReadsTheTemplateAndTheConfig) {
  const nlohmann::json single = {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}}}}};
  const nlohmann::json processor = {
      {"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {4}}}}}}};
  const auto plain = load_with("/post_processor", processor);
  EXPECT_THAT((*plain)->with_bos_eos(Ids{0}), ElementsAre(4, 0));
  const auto off = load_with("/post_processor", processor, R"({"add_bos_token": false})");
  EXPECT_THAT((*off)->with_bos_eos(Ids{0}), ElementsAre(0));
  const auto config = load_with("/version", "1.0", R"({"eos_token": {"content": "<s>"}, "add_eos_token": true})");
  EXPECT_THAT((*config)->with_bos_eos(Ids{0}), ElementsAre(0, 4));
  EXPECT_EQ((*config)->eos_id(), 4);
}

// Even a merge that leads to a special token is not taken.
TEST(TokenizerJson, MergesNeverMakeASpecialToken) {
  const auto tokenizer = load_with("/added_tokens/0", {{"id", 2}, {"content", "ab"}, {"special", true}});
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_THAT((*tokenizer)->encode("ab", SpecialTokens::kIgnore), ElementsAre(0, 1));
  EXPECT_THAT((*tokenizer)->encode("ab", SpecialTokens::kParse), ElementsAre(2));
}

}  // namespace
}  // namespace vortex::text

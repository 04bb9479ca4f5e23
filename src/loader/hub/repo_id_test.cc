#include "loader/hub/repo_id.h"

#include <gmock/gmock.h>

namespace vortex::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(RepoId, ReadsNameRevisionAndQuant) {
  const auto plain = parse_repo_id("org/name");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->name, "org/name");
  EXPECT_EQ(plain->revision, "main");
  EXPECT_EQ(plain->quant, "");
  EXPECT_EQ(plain->folder(), "models--org--name");
  const auto full = parse_repo_id("Org-1/na.me_2@refs/pr/1:Q4_K_M");
  ASSERT_TRUE(full.ok());
  EXPECT_EQ(full->revision, "refs/pr/1");
  EXPECT_EQ(full->quant, "Q4_K_M");
  EXPECT_EQ(full->to_string(), "Org-1/na.me_2@refs/pr/1:Q4_K_M");
}

TEST(RepoId, RefusesWhatCouldLeaveTheCache) {
  for (const char* text :
       {"", "name", "/name", "org/", "org/a/b", "../name", "org/..", "org/a--b", "org/a b", "org/name@",
        "org/name@../x", "org/name@a//b", "org/name@-x", "org/name:", "org/name:a/b", "org/na\nme", "org/name@a..b"}) {
    const auto id = parse_repo_id(text);
    ASSERT_FALSE(id.ok()) << text;
    EXPECT_EQ(id.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(id.error().hint, HasSubstr("org/name@revision"));
  }
}

TEST(RepoId, FileNamesStayInside) {
  EXPECT_TRUE(is_safe_file_name("model-00001-of-00002.safetensors"));
  EXPECT_TRUE(is_safe_file_name("sub/model.gguf"));
  for (const char* name : {"", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "a\\b", "a\nb", "./a", "a:b"}) {
    EXPECT_FALSE(is_safe_file_name(name)) << name;
  }
}

const std::vector<std::string> kFiles = {"m-Q4_K.gguf",
                                         "m-Q4_K_M.gguf",
                                         "m-IQ4_K.gguf",
                                         "mmproj-Q4_K.gguf",
                                         "m-Q8_0-00002-of-00002.gguf",
                                         "m-Q8_0-00001-of-00002.gguf",
                                         "m-F16-00001-of-00003.gguf",
                                         "README.md"};

TEST(ChooseGguf, TagsAreWholeWords) {
  EXPECT_THAT(choose_gguf(kFiles, "Q4_K", "m")->files, ElementsAre("m-Q4_K.gguf"));
  EXPECT_THAT(choose_gguf(kFiles, "q4_k_m", "m")->files, ElementsAre("m-Q4_K_M.gguf"));
  EXPECT_THAT(choose_gguf(kFiles, "m-IQ4_K.gguf", "m")->files, ElementsAre("m-IQ4_K.gguf"));
}

TEST(ChooseGguf, SplitsComeWholeAndInOrder) {
  EXPECT_THAT(choose_gguf(kFiles, "Q8_0", "m")->files,
              ElementsAre("m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"));
  const auto cut = choose_gguf(kFiles, "F16", "m");
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(cut.error().hint, HasSubstr("m-Q4_K_M.gguf"));
}

TEST(ChooseGguf, SeveralAreNotGuessed) {
  const auto several = choose_gguf(kFiles, "", "org/m");
  ASSERT_FALSE(several.ok());
  EXPECT_EQ(several.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(several.error().message, "4 GGUF files fit");
  EXPECT_THAT(choose_gguf({"a.gguf", "mmproj.gguf"}, "", "m")->files, ElementsAre("a.gguf"));
}

}  // namespace
}  // namespace vortex::hub

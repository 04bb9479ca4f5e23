// Helpers of the tests of this folder: files of the repository, as strings and JSON.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "text/tokenizer.h"

namespace vortex::text {

inline std::string read_repository_file(const std::string& path) {
  std::ifstream file(std::string(VORTEX_SOURCE_DIR) + "/" + path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline nlohmann::json read_repository_json(const std::string& path) {
  return nlohmann::json::parse(read_repository_file(path));
}

inline std::unique_ptr<Tokenizer> load_tokenizer(const std::string& folder) {
  auto tokenizer = Tokenizer::from_json(read_repository_file(folder + "/tokenizer.json"),
                                        read_repository_file(folder + "/tokenizer_config.json"));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  return std::move(tokenizer).value();
}

}  // namespace vortex::text

#include "text/json_fields.h"

#include <fmt/core.h>

namespace vortex::text {
namespace {

constexpr int kMaxDepth = 64;

const nlohmann::json& null_value() {
  static const nlohmann::json kNull;
  return kNull;
}

// Before the parser runs: nlohmann destroys and copies deep values by recursion.
bool nests_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, std::string_view file) {
  if (nests_too_deep(text)) {
    return Error{ErrorCode::kDataLoss, std::string(file), fmt::format("nests deeper than {} levels", kMaxDepth), ""};
  }
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    const std::string message = fmt::format("not valid JSON at byte {}", error.byte);
    return Error{ErrorCode::kDataLoss, std::string(file), message, "download the file again"};
  } catch (const nlohmann::json::exception&) {
    return Error{ErrorCode::kDataLoss, std::string(file), "holds a number out of range", "download the file again"};
  }
}

JsonField JsonField::operator[](const char* key) const {
  const std::string path = fmt::format("{}{}{}", path_, path_.ends_with(' ') ? "" : ".", key);
  if (!value_->is_object()) return {null_value(), path};
  const auto it = value_->find(key);
  return {it == value_->end() ? null_value() : *it, path};
}

Result<std::vector<JsonField>> JsonField::elements() const {
  std::vector<JsonField> out;
  if (is_null()) return out;
  if (!value_->is_array()) return damaged("is not a list");
  for (size_t i = 0; i < value_->size(); ++i) out.emplace_back((*value_)[i], fmt::format("{}[{}]", path_, i));
  return out;
}

Result<std::string> JsonField::string() const {
  if (!value_->is_string()) return damaged("is not a string");
  return value_->get<std::string>();
}

Result<std::string> JsonField::string_or(std::string fallback) const {
  if (is_null()) return fallback;
  return string();
}

Result<bool> JsonField::bool_or(bool fallback) const {
  if (is_null()) return fallback;
  if (!value_->is_boolean()) return damaged("is neither true nor false");
  return value_->get<bool>();
}

Result<int64_t> JsonField::integer(int64_t low, int64_t high) const {
  const bool fits = value_->is_number_unsigned() ? value_->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)
                                                 : value_->is_number_integer();
  if (!fits || value_->get<int64_t>() < low || value_->get<int64_t>() > high) {
    return damaged(fmt::format("is not an integer from {} to {}", low, high));
  }
  return value_->get<int64_t>();
}

Error JsonField::damaged(std::string message) const {
  return {ErrorCode::kDataLoss, path_, std::move(message), "the file is damaged or of a form not known here"};
}

Error JsonField::unsupported(std::string message) const {
  return {ErrorCode::kUnsupported, path_, std::move(message),
          "use a model with a byte-level or SentencePiece-style BPE tokenizer"};
}

}  // namespace vortex::text

#include "server/parsers/call_reader.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace vortex::server {
namespace {

/// Of a string in quotes; nothing where an escape stands for no character.
std::optional<std::string> unquoted(const std::string& text) {
  const auto value = nlohmann::json::parse(text, nullptr, false);
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

}  // namespace

CallReader::Status CallReader::push(char c) {
  const auto event = scanner_.next(c);
  if (event == JsonScanner::Event::kBad) return Status::kBad;
  raw_ += c;
  switch (event) {
    case JsonScanner::Event::kKeyBegin:
      token_ = raw_.size() - 1;
      return Status::kMore;
    case JsonScanner::Event::kKey:
      key_ = unquoted(raw_.substr(token_)).value_or("");
      return Status::kMore;
    case JsonScanner::Event::kValue:
      return value_begins(c);
    case JsonScanner::Event::kValueEnd:
      return value_ends();
    case JsonScanner::Event::kEnd:
      return end();
    default:
      return Status::kMore;
  }
}

// Takes back the byte where the call breaks.
CallReader::Status CallReader::value_begins(char c) {
  token_ = raw_.size() - 1;
  const bool wrong_name = key_ == "name" && (c != '"' || name_);
  const bool wrong_arguments = key_is_arguments() && (c != '{' || arguments_begin_);
  if (wrong_name || wrong_arguments) {
    raw_.pop_back();
    return Status::kBad;
  }
  if (key_is_arguments()) arguments_begin_ = token_;
  announce_when_ready();
  return Status::kMore;
}

CallReader::Status CallReader::value_ends() {
  if (key_ == "name") {
    name_ = unquoted(raw_.substr(token_));
    if (!name_ || name_->empty()) {
      raw_.pop_back();
      return Status::kBad;
    }
  }
  if (key_is_arguments()) arguments_end_ = raw_.size();
  announce_when_ready();
  return Status::kMore;
}

CallReader::Status CallReader::end() {
  if (!name_) {
    raw_.pop_back();
    return Status::kBad;
  }
  announced_ = name_;
  return Status::kDone;
}

void CallReader::announce_when_ready() {
  if (name_ && arguments_begin_) announced_ = name_;
}

std::string CallReader::take_arguments() {
  if (!announced_) return {};
  if (!arguments_begin_) return std::exchange(taken_, 1) == 0 ? "{}" : "";
  const size_t begin = *arguments_begin_ + taken_;
  const size_t end = arguments_end_.value_or(raw_.size());
  taken_ = end - *arguments_begin_;
  return raw_.substr(begin, end - begin);
}

}  // namespace vortex::server

// ReasoningSplitter: <think>...</think> before an answer.
#pragma once

#include <string>
#include <string_view>

#include "server/parsers/tag_watch.h"

namespace vortex::server {

class ReasoningSplitter {
 public:
  /// `inside`: the text begins within <think>; the tag itself may come or not.
  explicit ReasoningSplitter(bool inside) : inside_(inside) {}

  /// Line breaks next to the tags are dropped.
  void push(std::string_view text, std::string& reasoning, std::string& content);
  void finish(std::string& reasoning, std::string& content);

 private:
  enum class State { kBefore, kThinking, kAfter, kContent };

  void push(char c, std::string& reasoning, std::string& content);
  void begin(char c, std::string& reasoning, std::string& content);

  const bool inside_;
  State state_ = State::kBefore;
  bool at_start_ = true;  // of the reasoning
  TagWatch opening_{"<think>"}, closing_{"</think>"};
};

}  // namespace vortex::server

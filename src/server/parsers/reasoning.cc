#include "server/parsers/reasoning.h"

namespace vortex::server {

void ReasoningSplitter::push(std::string_view text, std::string& reasoning, std::string& content) {
  for (const char c : text) push(c, reasoning, content);
}

void ReasoningSplitter::push(char c, std::string& reasoning, std::string& content) {
  switch (state_) {
    case State::kBefore:
      return begin(c, reasoning, content);
    case State::kThinking:
      if (at_start_ && is_white_space(c)) return;
      at_start_ = false;
      if (closing_.push(c, reasoning)) state_ = State::kAfter;
      return;
    case State::kAfter:
      if (is_white_space(c)) return;
      state_ = State::kContent;
      [[fallthrough]];
    case State::kContent:
      content += c;
  }
}

// Text that does not begin with the tag is read again as what it is.
void ReasoningSplitter::begin(char c, std::string& reasoning, std::string& content) {
  std::string other;
  if (opening_.push(c, other)) {
    state_ = State::kThinking;
  } else if (!other.empty()) {
    state_ = inside_ ? State::kThinking : State::kContent;
    push(other + opening_.take_held(), reasoning, content);
  }
}

void ReasoningSplitter::finish(std::string& reasoning, std::string& content) {
  if (state_ == State::kBefore) (inside_ ? reasoning : content) += opening_.take_held();
  if (state_ == State::kThinking) reasoning += closing_.take_held();
}

}  // namespace vortex::server

#include "server/parsers/tag_watch.h"
#include "server/parsers/tool_parsers.h"

namespace vortex::server {
namespace {

class HermesParser final : public CallParser {
 public:
  using CallParser::CallParser;

 private:
  Taken outside(char c, OutputPieces& out) override {
    if (after_call_) {
      close_call(c, out);
    } else if (opening_.push(c, out.content)) {
      begin_call();
    }
    return Taken::kYes;
  }

  // Some models leave the closing tag out.
  void close_call(char c, OutputPieces& out) {
    std::string other;
    if (closing_.push(c, other)) {
      closing_.take_held();
      after_call_ = false;
    } else if (!other.empty()) {
      after_call_ = false;
      for (const char again : other + closing_.take_held()) outside(again, out);
    }
  }

  std::string take_prefix() override { return opening_.take_held(); }
  void call_ended() override { after_call_ = true; }

  // White space after the last call is of no use.
  void end_outside(OutputPieces& out) override {
    const std::string held = after_call_ ? closing_.take_held() : opening_.take_held();
    const bool blank = held.find_first_not_of(" \n\r\t") == std::string::npos;
    if (!blank || calls() == 0) out.content += held;
  }

  TagWatch opening_{"<tool_call>"}, closing_{"</tool_call>"};
  bool after_call_ = false;  // its closing tag has not come
};

}  // namespace

std::unique_ptr<OutputParser> make_hermes_parser(std::function<std::string()> new_call_id) {
  return std::make_unique<HermesParser>(std::move(new_call_id));
}

}  // namespace vortex::server

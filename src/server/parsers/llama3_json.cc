#include <utility>

#include "server/parsers/tag_watch.h"
#include "server/parsers/tool_parsers.h"

namespace vortex::server {
namespace {

class Llama3JsonParser final : public CallParser {
 public:
  using CallParser::CallParser;

 private:
  // Before a call only white space, the tag and, between calls, a semicolon may stand.
  Taken outside(char c, OutputPieces& out) override {
    if (only_content_) {
      out.content += c;
    } else if (c == '{' && !tag_began()) {
      prefix_ += tag_.take_held();
      begin_call();
      return Taken::kAgain;
    } else {
      before_call(c, out);
    }
    return Taken::kYes;
  }

  bool tag_began() const { return tag_.held().find('<') != std::string::npos; }

  void before_call(char c, OutputPieces& out) {
    std::string other;
    if (calls() > 0 && c == ';' && !tag_began()) {
      prefix_ += tag_.take_held() + c;
    } else if (tag_.push(c, other)) {
      prefix_ += tag_.take_held();
    } else if (!other.empty()) {
      only_content_ = true;
      out.content += take_prefix() + other + tag_.take_held();
    }
  }

  std::string take_prefix() override { return std::exchange(prefix_, {}); }
  void call_broke() override { only_content_ = true; }
  void end_outside(OutputPieces& out) override {
    const std::string held = take_prefix() + tag_.take_held();
    if (calls() == 0 || held.find_first_not_of(" \n\r\t;") != std::string::npos) out.content += held;
  }

  TagWatch tag_{"<|python_tag|>"};
  std::string prefix_;
  bool only_content_ = false;
};

}  // namespace

std::unique_ptr<OutputParser> make_llama3_json_parser(std::function<std::string()> new_call_id) {
  return std::make_unique<Llama3JsonParser>(std::move(new_call_id));
}

}  // namespace vortex::server

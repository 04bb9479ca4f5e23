#include <utility>

#include "server/parsers/tool_parsers.h"

namespace vortex::server {
namespace {

// Pieces of one call within one push become one.
void add_arguments(int index, std::string arguments, OutputPieces& out) {
  if (arguments.empty()) return;
  if (!out.calls.empty() && out.calls.back().index == index) {
    out.calls.back().arguments += arguments;
  } else {
    out.calls.push_back({index, "", "", std::move(arguments)});
  }
}

}  // namespace

OutputPieces CallParser::push(std::string_view text) {
  OutputPieces out;
  for (const char c : text) push(c, out);
  if (call_) take_piece(out);
  return out;
}

void CallParser::push(char c, OutputPieces& out) {
  if (!call_ && outside(c, out) == Taken::kYes) return;
  if (call_) push_call(c, out);
}

void CallParser::push_call(char c, OutputPieces& out) {
  const auto status = call_->push(c);
  if (status == CallReader::Status::kMore) return;
  take_piece(out);
  const std::string lost = announced_ ? "" : call_->raw();
  const bool announced = std::exchange(announced_, false);
  call_.reset();
  if (status == CallReader::Status::kDone) {
    take_prefix();
    return call_ended();
  }
  const std::string prefix = take_prefix();
  if (!announced) out.content += prefix + lost;
  call_broke();
  push(c, out);
}

void CallParser::take_piece(OutputPieces& out) {
  if (!call_->name()) return;
  if (!announced_) out.calls.push_back({calls_++, new_call_id_(), *call_->name(), ""});
  announced_ = true;
  add_arguments(calls_ - 1, call_->take_arguments(), out);
}

OutputPieces CallParser::finish() {
  OutputPieces out;
  if (!call_) {
    end_outside(out);
  } else if (!announced_) {
    out.content += take_prefix() + call_->raw();
  }
  return out;
}

}  // namespace vortex::server

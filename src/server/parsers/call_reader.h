// CallReader: the JSON of one tool call, {"name": .., "arguments": {..}}, byte by byte. `parameters` is another word
// for arguments; other members are passed over.
#pragma once

#include <optional>
#include <string>

#include "server/parsers/json_scanner.h"

namespace vortex::server {

class CallReader {
 public:
  enum class Status { kMore, kDone, kBad };

  /// kBad: the byte does not belong to a call; it was not taken.
  Status push(char c);

  /// Set when the call's arguments have begun, or it has ended: from then on it cannot turn out to be something else.
  const std::optional<std::string>& name() const { return announced_; }
  /// New text of the arguments.
  std::string take_arguments();
  /// All that was taken.
  const std::string& raw() const { return raw_; }

 private:
  Status value_begins(char c);
  Status value_ends();
  Status end();
  void announce_when_ready();
  bool key_is_arguments() const { return key_ == "arguments" || key_ == "parameters"; }

  JsonScanner scanner_;
  std::string raw_;
  size_t token_ = 0;  // where the last key or value of the outermost object begins in raw_
  std::string key_;
  std::optional<std::string> name_, announced_;
  std::optional<size_t> arguments_begin_, arguments_end_;
  size_t taken_ = 0;  // of the arguments
};

}  // namespace vortex::server

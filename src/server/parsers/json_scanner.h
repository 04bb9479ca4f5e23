// JsonScanner: watches the JSON of one object go by, byte by byte, without keeping it.
#pragma once

#include <cstddef>
#include <string>

namespace vortex::server {

class JsonScanner {
 public:
  enum class Event {
    kNone,
    kKeyBegin,  // a name of the outermost object begins with this byte
    kKey,       // it has ended with this byte
    kValue,     // a value of the outermost object begins with this byte
    kValueEnd,  // that value, a string or a container, has ended with this byte
    kEnd,       // the outermost object has
    kBad,       // this byte cannot stand here: the text before it is no beginning of JSON any more
  };

  /// Not after kEnd or kBad.
  Event next(char c);

 private:
  enum class State { kObject, kValue, kFirstKey, kKey, kColon, kText, kEscape, kHex, kWord, kAfterValue };
  static constexpr size_t kMaxDepth = 64;

  Event begin_value(char c);
  Event open(char c);
  Event close(char c);
  Event text(char c);
  Event escape(char c);
  Event hex(char c);
  Event word(char c);
  Event after_value(char c);
  Event key(char c, bool may_close);
  Event go(State state, Event event = Event::kNone);

  State state_ = State::kObject;
  std::string open_;  // brackets
  std::string word_;  // a number, true, false or null so far
  bool in_key_ = false;
  bool in_list_start_ = false;
  int hex_left_ = 0;
};

}  // namespace vortex::server

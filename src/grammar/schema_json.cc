#include "grammar/schema_json.h"

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "grammar/errors.h"

namespace vortex::grammar {
namespace {

using nlohmann::ordered_json;

/// Thrown out of the parser, caught below.
struct Refused {
  std::string why;
};

/// Watches the parser's events: how deep, and which keys each open object has had.
class Watcher {
 public:
  explicit Watcher(const Caps& caps) : caps_(caps) {}

  bool operator()(int depth, ordered_json::parse_event_t event, ordered_json& value) {
    using Event = ordered_json::parse_event_t;
    const bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && depth >= caps_.nesting) throw Refused{fmt::format("nests deeper than {} levels", caps_.nesting)};
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event == Event::key) add_key(value.get_ref<const std::string&>());
    return true;
  }

 private:
  void add_key(const std::string& key) {
    if (!keys_.back().insert(key).second)
      throw Refused{fmt::format("has the key \"{}\" twice in one object", shortened(key))};
    if (keys_.back().size() > caps_.object_members) {
      throw Refused{fmt::format("has an object of more than {} members", caps_.object_members)};
    }
  }

  const Caps& caps_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

Result<ordered_json> parse_schema_json(std::string_view text, const Caps& caps) {
  constexpr std::string_view kWhere = "json_schema";
  try {
    Watcher watcher(caps);
    return ordered_json::parse(text.begin(), text.end(), std::ref(watcher));
  } catch (const Refused& why) {
    return refused(kWhere, why.why);
  } catch (const ordered_json::parse_error& error) {
    return refused(kWhere, fmt::format("is not valid JSON at byte {}", error.byte));
  } catch (const ordered_json::exception&) {
    return refused(kWhere, "holds a number out of range");
  }
}

}  // namespace vortex::grammar

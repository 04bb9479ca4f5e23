#include "loader/json.h"

#include <set>
#include <vector>

#include "loader/errors.h"
#include "loader/mmap_file.h"

namespace vortex {
namespace {

using nlohmann::json;

/// Thrown out of the parser, caught below.
struct Refused {
  std::string why;
};

/// Watches the parser's events: how deep, and which keys each open object has had.
class Watcher {
 public:
  explicit Watcher(int max_depth) : max_depth_(max_depth) {}

  bool operator()(int depth, json::parse_event_t event, json& value) {
    switch (event) {
      case json::parse_event_t::object_start:
        keys_.emplace_back();
        [[fallthrough]];
      case json::parse_event_t::array_start:
        if (depth >= max_depth_) throw Refused{fmt::format("nests deeper than {} levels", max_depth_)};
        break;
      case json::parse_event_t::object_end:
        keys_.pop_back();
        break;
      case json::parse_event_t::key:
        add_key(value.get_ref<const std::string&>());
        break;
      default:
        break;
    }
    return true;
  }

 private:
  void add_key(const std::string& key) {
    if (!keys_.back().insert(key).second) throw Refused{fmt::format("the key {} comes twice", quote_name(key))};
  }

  int max_depth_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

Result<json> parse_json(std::string_view text, std::string_view where, int max_depth) {
  try {
    Watcher watcher(max_depth);
    return json::parse(text.begin(), text.end(), std::ref(watcher));
  } catch (const Refused& refused) {
    return data_loss(where, "JSON " + refused.why);
  } catch (const json::parse_error& error) {
    return data_loss(where, fmt::format("not valid JSON at byte {}", error.byte));
  } catch (const json::exception&) {
    return data_loss(where, "JSON holds a number out of range");
  }
}

Result<json> read_json_file(const std::string& path, int64_t max_bytes) {
  VORTEX_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, max_bytes));
  return parse_json(text, path);
}

}  // namespace vortex

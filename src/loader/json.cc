#include "loader/json.h"

#include <optional>
#include <set>
#include <vector>

#include "loader/errors.h"
#include "loader/mmap_file.h"

namespace vortex {
namespace {

using nlohmann::json;

/// Reads the text once and keeps nothing of it: how deep it nests, and which keys each open object has had. (A
/// callback of the parser proper would look through all siblings after each object.)
class Watcher final : public nlohmann::json_sax<json> {
 public:
  Watcher(std::string_view where, int max_depth) : where_(where), max_depth_(max_depth) {}

  const std::optional<Error>& error() const { return error_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return enter();
  }
  bool end_object() override {
    keys_.pop_back();
    return leave();
  }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }

  bool key(string_t& name) override {
    return keys_.back().insert(name).second || refuse(fmt::format("JSON the key {} comes twice", quote_name(name)));
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception& failure) override {
    const bool is_syntax = dynamic_cast<const json::parse_error*>(&failure) != nullptr;
    return refuse(is_syntax ? fmt::format("not valid JSON at byte {}", position) : "JSON holds a number out of range");
  }

 private:
  bool enter() { return depth_++ < max_depth_ || refuse(fmt::format("JSON nests deeper than {} levels", max_depth_)); }
  bool leave() {
    --depth_;
    return true;
  }
  bool refuse(std::string message) {
    error_ = data_loss(where_, std::move(message));
    return false;
  }

  std::string_view where_;
  int max_depth_;
  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;
  std::optional<Error> error_;
};

}  // namespace

Result<json> parse_json(std::string_view text, std::string_view where, int max_depth) {
  Watcher watcher(where, max_depth);
  if (!json::sax_parse(text.begin(), text.end(), &watcher)) return *watcher.error();
  return json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

Result<json> read_json_file(const std::string& path, int64_t max_bytes) {
  VORTEX_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, max_bytes));
  return parse_json(text, path);
}

}  // namespace vortex

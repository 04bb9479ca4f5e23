#include "server/request/json_text.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

namespace vortex::server {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string place(std::string_view body, size_t byte) {
  const std::string_view before = body.substr(0, byte);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return fmt::format("line {}, column {}", lines + 1, std::max<size_t>(byte - std::min(byte, line_start), 1));
}

/// Builds the value from the parser's events. Members are appended, never searched for: an object of a million keys
/// costs no more than a list of them.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::string_view body) : body_(body) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override;
  bool parse_error(size_t byte, const std::string& token, const nlohmann::detail::exception& error) override;

  Json take() { return std::move(root_); }
  ApiError fault() const { return {400, "invalid_json", fault_, field_}; }

 private:
  struct Level {
    Json* value;
    std::unordered_set<std::string> keys;
    std::string key;
  };

  bool add(Json value) { return insert(std::move(value)) != nullptr; }
  Json* insert(Json value);
  bool open(Json container);
  bool close();

  std::string_view body_;
  Json root_;
  std::vector<Level> open_;
  std::string field_;  // of the outermost object, while its value is read
  std::string fault_;
};

bool Builder::key(std::string& name) {
  if (open_.size() == 1) field_ = name;
  if (!open_.back().keys.insert(name).second) {
    fault_ = fmt::format("The body has the key '{}' twice in one object.", name.substr(0, 64));
    return false;
  }
  open_.back().key = std::move(name);
  return true;
}

Json* Builder::insert(Json value) {
  if (open_.empty()) return &(root_ = std::move(value));
  Level& level = open_.back();
  if (level.value->is_array()) return &level.value->get_ref<Json::array_t&>().emplace_back(std::move(value));
  auto& members = static_cast<Json::object_t::Container&>(level.value->get_ref<Json::object_t&>());
  members.emplace_back(std::move(level.key), std::move(value));
  return &members.back().second;
}

bool Builder::open(Json container) {
  if (open_.size() == kMaxJsonDepth) {
    fault_ = fmt::format("The body's nesting is too deep: at most {} levels.", kMaxJsonDepth);
    return false;
  }
  Json* const inserted = insert(std::move(container));
  open_.push_back({inserted, {}, {}});
  return true;
}

bool Builder::close() {
  open_.pop_back();
  if (open_.size() == 1) field_.clear();
  return true;
}

bool Builder::parse_error(size_t byte, const std::string& token, const nlohmann::detail::exception& error) {
  constexpr int kNumberOverflow = 406;
  const std::string where = place(body_, byte);
  if (error.id == kNumberOverflow) {
    fault_ = fmt::format("The body holds a number out of range at {}.", where);
  } else if (byte > body_.size()) {
    fault_ = fmt::format("The body is not valid JSON: it ends too early, at {}.", where);
  } else {
    fault_ = fmt::format("The body is not valid JSON at {}, near '{}'. In a shell, put it between single quotes.",
                         where, token.substr(token.size() - std::min<size_t>(token.size(), 40)));
  }
  return false;
}

}  // namespace

ApiResult<Json> parse_body(std::string_view body) {
  if (body.starts_with(kByteOrderMark))
    return ApiError{400, "invalid_json", "The body starts with a byte order mark (line 1, column 1); send plain UTF-8.",
                    ""};
  Builder builder(body);
  if (!Json::sax_parse(body.begin(), body.end(), &builder)) return builder.fault();
  return builder.take();
}

const Json& member(const Json& object, std::string_view key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(std::string(key));
  return it == object.end() ? kNull : *it;
}

std::string to_text(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace vortex::server

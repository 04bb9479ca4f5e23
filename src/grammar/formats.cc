#include "grammar/formats.h"

#include <fmt/format.h>

namespace vortex::grammar {
namespace {

constexpr std::string_view kTime = "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)";
constexpr std::string_view kLabel = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
constexpr std::string_view kAtom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}";
constexpr std::string_view kIpv4 = "((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.){3}(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";

// Days that exist in the Gregorian calendar, from year 1.
std::string date() {
  const std::string year = "(000[1-9]|00[1-9]\\d|0[1-9]\\d\\d|[1-9]\\d{3})";
  const std::string leap_year = "(\\d\\d(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)";
  const std::string day =
      "((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))";
  return fmt::format("({}-{}|{}-02-29)", year, day, leap_year);
}

std::string hostname() { return fmt::format("{0}(\\.{0})*", kLabel); }

// Eight groups, or fewer around one "::".
std::string ipv6() {
  const std::string group = "[0-9A-Fa-f]{1,4}";
  std::string out = fmt::format("(({0}:){{7}}{0}|({0}:){{1,7}}:|:(:{0}){{1,7}}|::", group);
  for (int before = 1; before <= 6; ++before) {
    out += fmt::format("|({0}:){{{1}}}(:{0}){{1,{2}}}", group, before, 7 - before);
  }
  return out + ")";
}

std::string uri() {
  return fmt::format(
      "[A-Za-z][A-Za-z0-9+.-]*://{}(:\\d{{1,5}})?(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*"
      "(\\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?(#[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?",
      hostname());
}

}  // namespace

std::optional<std::string> format_pattern(std::string_view name) {
  if (name == "date") return date();
  if (name == "time") return std::string(kTime);
  if (name == "date-time") return fmt::format("{}T{}", date(), kTime);
  if (name == "uuid") return "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
  if (name == "email") return fmt::format("{0}(\\.{0})*@{1}(\\.{1})+", kAtom, kLabel);
  if (name == "hostname") return hostname();
  if (name == "ipv4") return std::string(kIpv4);
  if (name == "ipv6") return ipv6();
  if (name == "uri") return uri();
  return std::nullopt;
}

std::vector<std::string_view> format_names() {
  return {"date", "time", "date-time", "uuid", "email", "hostname", "ipv4", "ipv6", "uri"};
}

}  // namespace vortex::grammar

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

std::string hostname() { return fmt::format("{0}(\\.{0}){{0,3}}", kLabel); }

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
      "[A-Za-z][A-Za-z0-9+.-]{{0,15}}://{}(:\\d{{1,5}})?(/[A-Za-z0-9._~!$&'()*+,;=:@%-]{{0,64}}){{0,12}}"
      "(\\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]{{0,256}})?(#[A-Za-z0-9._~!$&'()*+,;=:@/?-]{{0,128}})?",
      hostname());
}

}  // namespace

std::optional<Format> find_format(std::string_view name) {
  if (name == "date") return Format{date(), 10, 10};
  if (name == "time") return Format{std::string(kTime), 9, 24};
  if (name == "date-time") return Format{fmt::format("{}T{}", date(), kTime), 20, 35};
  if (name == "uuid") return Format{"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", 36, 36};
  if (name == "email") return Format{fmt::format("{0}(\\.{0}){{0,3}}@{1}(\\.{1}){{1,3}}", kAtom, kLabel), 5, 515};
  if (name == "hostname") return Format{hostname(), 1, 255};
  if (name == "ipv4") return Format{std::string(kIpv4), 7, 15};
  if (name == "ipv6") return Format{ipv6(), 2, 39};
  if (name == "uri") return Format{uri(), 5, 1446};
  return std::nullopt;
}

std::vector<std::string_view> format_names() {
  return {"date", "time", "date-time", "uuid", "email", "hostname", "ipv4", "ipv6", "uri"};
}

}  // namespace vortex::grammar

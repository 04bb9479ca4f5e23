#include "loader/hub/repo_id.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>

namespace vortex::hub {

namespace {

bool is_hex_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

bool only(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return is_alnum(c) || extra.find(c) != extra.npos; });
}

bool has_bad_part(std::string_view path) {
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return true;
    if (slash == path.npos) return false;
    path.remove_prefix(slash + 1);
  }
}

// "--" separates the parts of the folder's name in the cache, so the hub forbids it too.
bool is_repo_part(std::string_view part) {
  return !part.empty() && part.size() <= 96 && only(part, "._-") && is_alnum(part.front()) &&
         part.find("--") == part.npos && part.find("..") == part.npos;
}

bool is_revision(std::string_view text) {
  return !text.empty() && text.size() <= 200 && only(text, "._-/") && !has_bad_part(text) && text.front() != '-' &&
         text.find("..") == text.npos;
}

bool is_quant(std::string_view text) { return !text.empty() && text.size() <= 200 && only(text, "._-+"); }

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::toupper(c); });
  return out;
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

/// "Q4_K" is a tag of "m-Q4_K.gguf", not of "m-Q4_K_M.gguf" nor of "m-IQ4_K.gguf".
bool has_tag(const std::string& file, const std::string& tag) {
  const std::string name = upper(file);
  for (size_t at = name.find(tag); at != name.npos; at = name.find(tag, at + 1)) {
    const size_t end = at + tag.size();
    const bool starts = at == 0 || !is_alnum(name[at - 1]);
    const bool ends = end == name.size() || (!is_alnum(name[end]) && name[end] != '_');
    if (starts && ends) return true;
  }
  return false;
}

struct SplitName {
  std::string prefix;  // with the count of parts, so that two splits of one model stay apart
  int part = 0;
  int parts = 0;
};

std::optional<int> five_digits(std::string_view text) {
  if (text.size() != 5 || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return {};
  return std::stoi(std::string(text));
}

/// "x-00002-of-00003.gguf".
std::optional<SplitName> split_name(const std::string& file) {
  constexpr std::string_view kTail = "-00001-of-00001.gguf";
  if (file.size() <= kTail.size()) return std::nullopt;
  const std::string_view tail = std::string_view(file).substr(file.size() - kTail.size());
  const auto part = five_digits(tail.substr(1, 5));
  const auto parts = five_digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !part || !parts) return std::nullopt;
  return SplitName{file.substr(0, file.size() - kTail.size()) + std::string(tail.substr(6)), *part, *parts};
}

bool is_model_gguf(const std::string& file) {
  const std::string name = upper(base_name(file));
  return name.ends_with(".GGUF") && name.find("MMPROJ") == name.npos && name.find("IMATRIX") == name.npos;
}

std::string list_of(const std::vector<GgufSet>& sets) {
  constexpr size_t kShown = 8;
  std::string out;
  for (size_t i = 0; i < std::min(sets.size(), kShown); ++i) out += (i == 0 ? "" : ", ") + sets[i].files[0];
  return sets.size() > kShown ? out + ", ..." : out;
}

}  // namespace

std::string RepoId::folder() const {
  std::string out = "models--" + name;
  out.replace(out.find('/'), 1, "--");
  return out;
}

std::string RepoId::to_string() const {
  return name + (revision == "main" ? "" : "@" + revision) + (quant.empty() ? "" : ":" + quant);
}

Result<RepoId> parse_repo_id(std::string_view text) {
  RepoId id;
  std::string_view rest = text;
  bool valid = true;
  if (const size_t colon = rest.find(':'); colon != rest.npos) {
    id.quant = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    valid = valid && is_quant(id.quant);
  }
  if (const size_t at = rest.find('@'); at != rest.npos) {
    id.revision = rest.substr(at + 1);
    rest = rest.substr(0, at);
    valid = valid && is_revision(id.revision);
  }
  const size_t slash = rest.find('/');
  valid = valid && slash != rest.npos && is_repo_part(rest.substr(0, slash)) && is_repo_part(rest.substr(slash + 1));
  id.name = rest;
  if (valid) return id;
  return Error{ErrorCode::kInvalidArgument, std::string(text.substr(0, 200)), "not a model name of the hub",
               "write org/name, org/name@revision or org/name:QUANT"};
}

bool names_safetensors(const std::vector<std::string>& files) {
  return std::any_of(files.begin(), files.end(),
                     [](const std::string& file) { return file == kSafetensors || file == kSafetensorsIndex; });
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(), is_hex_digit);
}

bool is_safe_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 512 && only(name, "._+-/ ") && !has_bad_part(name);
}

std::vector<GgufSet> gguf_sets(const std::vector<std::string>& files) {
  std::vector<GgufSet> sets;
  std::map<std::string, std::map<int, std::string>> splits;
  std::map<std::string, int> counts;
  for (const std::string& file : files) {
    if (!is_model_gguf(file)) continue;
    if (const auto split = split_name(file)) {
      splits[split->prefix][split->part] = file;
      counts[split->prefix] = split->parts;
    } else {
      sets.push_back({{file}});
    }
  }
  for (const auto& [prefix, parts] : splits) {
    const int count = counts[prefix];
    if (count < 1 || static_cast<int>(parts.size()) != count) continue;
    if (parts.begin()->first != 1 || parts.rbegin()->first != count) continue;
    GgufSet set;
    for (const auto& [number, file] : parts) set.files.push_back(file);
    sets.push_back(std::move(set));
  }
  std::sort(sets.begin(), sets.end(), [](const GgufSet& a, const GgufSet& b) { return a.files[0] < b.files[0]; });
  return sets;
}

Result<GgufSet> choose_gguf(const std::vector<std::string>& files, const std::string& quant, const std::string& where) {
  const std::vector<GgufSet> all = gguf_sets(files);
  std::vector<GgufSet> matching;
  for (const GgufSet& set : all) {
    if (!quant.empty() && base_name(set.files[0]) == quant) return set;
    if (quant.empty() || has_tag(set.files[0], upper(quant))) matching.push_back(set);
  }
  if (matching.size() == 1) return matching[0];
  if (matching.empty()) {
    const std::string wanted = quant.empty() ? "no whole GGUF" : fmt::format("no whole GGUF named {}", quant);
    return Error{ErrorCode::kNotFound, where, wanted, all.empty() ? "" : "there are: " + list_of(all)};
  }
  return Error{ErrorCode::kInvalidArgument, where, fmt::format("{} GGUF files fit", matching.size()),
               "add :QUANT or :FILE of one of: " + list_of(matching)};
}

}  // namespace vortex::hub

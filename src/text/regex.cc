#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <fmt/core.h>
#include <pcre2.h>

#include "text/utf8.h"

namespace vortex::text {
namespace {

constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kHeapLimitKib = 256 * 1024;
constexpr uint32_t kCompileOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;

PCRE2_SPTR bytes_of(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

// PCRE2's \s holds U+180E, which left White_Space in Unicode 6.3.
std::string with_unicode_spaces(std::string_view pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      out += pattern[i];
      continue;
    }
    const char escape = pattern[++i];
    if (escape == 's') {
      out += "\\p{White_Space}";
    } else if (escape == 'S') {
      out += "\\P{White_Space}";
    } else {
      out += {'\\', escape};
    }
  }
  return out;
}

std::string pcre2_message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

Error pattern_error(std::string_view pattern, std::string message) {
  return {ErrorCode::kInvalidArgument, fmt::format("pattern {}", pattern.substr(0, 200)), std::move(message),
          "the tokenizer file is damaged, or its pattern needs a feature that PCRE2 has not"};
}

}  // namespace

struct Regex::Code {
  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() {
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }

  // One match at or after `pos`, or a negative PCRE2 code. Empty matches at `pos` are refused on demand.
  int match(std::string_view text, size_t pos, bool not_empty_here, pcre2_match_data* data) const {
    const uint32_t options = PCRE2_NO_UTF_CHECK | (not_empty_here ? PCRE2_NOTEMPTY_ATSTART : 0);
    const int found = pcre2_match(code, bytes_of(text), text.size(), pos, options, data, limits);
    if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
    return pcre2_match(code, bytes_of(text), text.size(), pos, options | PCRE2_NO_JIT, data, limits);
  }

  // PCRE2_ERROR_NOMATCH when the text was read to its end, else the error that stopped the search.
  int find_all(std::string_view text, std::vector<TextRange>& out) const {
    const MatchData data(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
    const size_t* offsets = pcre2_get_ovector_pointer(data.get());
    size_t pos = 0;
    bool after_empty = false;
    while (pos <= text.size()) {
      const int found = match(text, pos, after_empty, data.get());
      if (found < 0) return found;
      if (offsets[1] < pos || offsets[1] < offsets[0]) return PCRE2_ERROR_BADOFFSET;  // \K in a lookaround
      out.push_back({offsets[0], offsets[1]});
      after_empty = true;  // an empty match may not follow a match at the same place
      pos = offsets[1];
    }
    return PCRE2_ERROR_NOMATCH;
  }

  pcre2_code* code = nullptr;
  pcre2_match_context* limits = nullptr;
};

Result<Regex> Regex::compile(std::string_view pattern) {
  const std::string translated = with_unicode_spaces(pattern);
  int error = 0;
  size_t offset = 0;
  auto code = std::make_shared<Code>();
  code->code = pcre2_compile(bytes_of(translated), translated.size(), kCompileOptions, &error, &offset, nullptr);
  if (code->code == nullptr) return pattern_error(pattern, fmt::format("{} at byte {}", pcre2_message(error), offset));
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);  // without it the interpreter matches, only slower
  code->limits = pcre2_match_context_create(nullptr);
  VORTEX_CHECK(code->limits != nullptr);
  pcre2_set_match_limit(code->limits, kMatchLimit);
  pcre2_set_heap_limit(code->limits, kHeapLimitKib);

  for (const char probe : {'a', ' ', '1', '.', '\n'}) {
    std::vector<TextRange> matches;
    const int end = code->find_all(std::string(4096, probe) + "!", matches);
    if (end != PCRE2_ERROR_NOMATCH) {
      return pattern_error(pattern, fmt::format("takes too long on plain text: {}", pcre2_message(end)));
    }
  }
  return Regex(std::move(code));
}

std::vector<TextRange> Regex::find_all(std::string_view text) const {
  std::vector<TextRange> matches;
  code_->find_all(text, matches);
  return matches;
}

std::string escaped_pattern(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t c, size_t, size_t) { out += fmt::format("\\x{{{:x}}}", uint32_t{c}); });
  return out;
}

}  // namespace vortex::text

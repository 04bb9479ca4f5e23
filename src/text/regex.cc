#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <fmt/core.h>
#include <pcre2.h>

#include <algorithm>
#include <ctime>
#include <new>

#include "base/log.h"
#include "text/utf8.h"

namespace vortex::text {
namespace {

// Steps of one match: many times what an honest pattern takes, few enough that thousands of short matches end.
constexpr size_t kShortBytes = 8192;
constexpr uint32_t kShortSteps = 500'000;
constexpr uint32_t kLongSteps = 10'000'000;
// Of one search, in time on the processor: a hundred times the slowest honest pattern.
constexpr int64_t kSearchNs = 50'000'000;
constexpr int64_t kSearchNsPerByte = 10'000;
constexpr int kMatchesPerLook = 16;  // at the clock
constexpr uint32_t kHeapLimitKib = 256 * 1024;
constexpr uint32_t kCompileOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;
using MatchContext = std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)>;

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

int64_t processor_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// All letters of the pattern and a few others, each many times and then one of each: a run makes a pattern try all
/// ways to cut it, but not a pattern that needs a letter which is nowhere.
std::vector<std::string> probes_of(std::string_view pattern) {
  std::string letters = "a 1.\n";
  for (const char c : pattern)
    if (static_cast<unsigned char>(c) < 0x80 && letters.find(c) == std::string::npos) letters += c;
  std::vector<std::string> probes;
  for (const char c : letters) probes.push_back(std::string(4096, c) + "!" + letters);
  return probes;
}

MatchContext match_limits(uint32_t steps) {
  MatchContext limits(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  if (!limits) throw std::bad_alloc();
  pcre2_set_match_limit(limits.get(), steps);
  pcre2_set_heap_limit(limits.get(), kHeapLimitKib);
  return limits;
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
  ~Code() { pcre2_code_free(code); }

  // One match at or after `pos`, or a negative PCRE2 code. Empty matches at `pos` are refused on demand.
  int match(std::string_view text, size_t pos, bool not_empty_here, pcre2_match_data* data) const {
    pcre2_match_context* limits = (text.size() <= kShortBytes ? short_limits : long_limits).get();
    const uint32_t options = PCRE2_NO_UTF_CHECK | (not_empty_here ? PCRE2_NOTEMPTY_ATSTART : 0);
    const int found = pcre2_match(code, bytes_of(text), text.size(), pos, options, data, limits);
    if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
    return pcre2_match(code, bytes_of(text), text.size(), pos, options | PCRE2_NO_JIT, data, limits);
  }

  // PCRE2_ERROR_NOMATCH when the text was read to its end, else the error that stopped the search.
  int find_all(std::string_view text, std::vector<TextRange>& out) const {
    const MatchData data(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
    if (!data) throw std::bad_alloc();
    int64_t deadline = 0;  // set at the first look: most texts are done before
    const size_t* offsets = pcre2_get_ovector_pointer(data.get());
    size_t pos = 0;
    bool after_empty = false;
    for (int count = 1; pos <= text.size(); ++count) {
      const int found = match(text, pos, after_empty, data.get());
      if (found < 0) return found;
      if (count % kMatchesPerLook == 0 && is_over(deadline, text.size())) return PCRE2_ERROR_MATCHLIMIT;
      if (offsets[1] < pos || offsets[1] < offsets[0]) return PCRE2_ERROR_BADOFFSET;  // \K in a lookaround
      out.push_back({offsets[0], offsets[1]});
      after_empty = true;  // an empty match may not follow a match at the same place
      pos = offsets[1];
    }
    return PCRE2_ERROR_NOMATCH;
  }

  static bool is_over(int64_t& deadline, size_t bytes) {
    const int64_t now = processor_ns();
    if (deadline == 0) deadline = now + kSearchNs + kSearchNsPerByte * static_cast<int64_t>(bytes);
    return now > deadline;
  }

  pcre2_code* code = nullptr;
  MatchContext short_limits = match_limits(kShortSteps), long_limits = match_limits(kLongSteps);
};

Result<Regex> Regex::compile(std::string_view pattern) {
  const std::string translated = with_unicode_spaces(pattern);
  int error = 0;
  size_t offset = 0;
  auto code = std::make_shared<Code>();
  code->code = pcre2_compile(bytes_of(translated), translated.size(), kCompileOptions, &error, &offset, nullptr);
  if (code->code == nullptr) return pattern_error(pattern, fmt::format("{} at byte {}", pcre2_message(error), offset));
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);  // without it the interpreter matches, only slower
  for (const std::string& probe : probes_of(pattern)) {
    std::vector<TextRange> matches;
    const int end = code->find_all(probe, matches);
    if (end != PCRE2_ERROR_NOMATCH) {
      return pattern_error(pattern, fmt::format("takes too long on plain text: {}", pcre2_message(end)));
    }
  }
  return Regex(std::move(code));
}

std::vector<TextRange> Regex::find_all(std::string_view text) const {
  std::vector<TextRange> matches;
  const int end = code_->find_all(text, matches);
  if (end != PCRE2_ERROR_NOMATCH)
    log_warn("the tokenizer's pattern takes too long on a text of {} bytes: {}; the rest of it is taken as one word",
             text.size(), pcre2_message(end));
  return matches;
}

std::string escaped_pattern(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t c, size_t, size_t) { out += fmt::format("\\x{{{:x}}}", uint32_t{c}); });
  return out;
}

}  // namespace vortex::text

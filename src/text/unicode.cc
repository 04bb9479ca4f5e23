#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "text/utf8.h"

namespace vortex::text {
namespace {

constexpr char32_t kCapitalIWithDot = 0x130;

int combining_class(int32_t code_point) { return utf8proc_get_property(code_point)->combining_class; }

bool composes(NormalForm form) { return form == NormalForm::kNfc || form == NormalForm::kNfkc; }
bool is_compatible(NormalForm form) { return form == NormalForm::kNfkc || form == NormalForm::kNfkd; }

void append_decomposed(char32_t code_point, int options, std::vector<int32_t>& out) {
  constexpr size_t kLongestDecomposition = 32;  // 18 in Unicode 15
  const size_t size = out.size();
  out.resize(size + kLongestDecomposition);
  int boundary = 0;
  const auto written =
      utf8proc_decompose_char(static_cast<int32_t>(code_point), out.data() + size, kLongestDecomposition,
                              static_cast<utf8proc_option_t>(options), &boundary);
  VORTEX_CHECK(written >= 0 && written <= static_cast<utf8proc_ssize_t>(kLongestDecomposition));
  out.resize(size + static_cast<size_t>(written));
}

std::vector<int32_t> decomposed(std::string_view text, NormalForm form) {
  const int options = UTF8PROC_DECOMPOSE | UTF8PROC_STABLE | (is_compatible(form) ? UTF8PROC_COMPAT : 0);
  std::vector<int32_t> out;
  out.reserve(text.size() + 32);
  for_each_character(text, [&](char32_t c, size_t, size_t) {
    if (c < 0x80) {
      out.push_back(static_cast<int32_t>(c));
    } else {
      append_decomposed(c, options, out);
    }
  });
  return out;
}

// utf8proc orders marks by exchanging neighbours, which is quadratic in the length of a run.
void order_marks(std::vector<int32_t>& points) {
  for (auto begin = points.begin(); begin != points.end();) {
    if (combining_class(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, points.end(), [](int32_t c) { return combining_class(c) == 0; });
    std::stable_sort(begin, end, [](int32_t a, int32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_joiner(char32_t c) { return c == 0x200C || c == 0x200D; }

}  // namespace

std::string normalize_unicode(std::string_view text, NormalForm form) {
  if (is_ascii(text)) return std::string(text);
  std::vector<int32_t> points = decomposed(text, form);
  order_marks(points);
  auto size = static_cast<utf8proc_ssize_t>(points.size());
  if (composes(form)) {
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    size = utf8proc_normalize_utf32(points.data(), size, options);
    VORTEX_CHECK(size >= 0, "utf8proc: {}", size);
  }
  std::string out;
  out.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < size; ++i) append_utf8(static_cast<char32_t>(points[i]), out);
  return out;
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](char32_t c, size_t, size_t) {
    append_utf8(static_cast<char32_t>(utf8proc_tolower(static_cast<int32_t>(c))), out);
    if (c == kCapitalIWithDot) append_utf8(0x307, out);  // the one unconditional expansion
  });
  return out;
}

bool is_whitespace(char32_t c) {
  if (c <= 0x20) return c == 0x20 || (c >= 0x09 && c <= 0x0D);
  if (c < 0x1680) return c == 0x85 || c == 0xA0;
  return c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_word_character(char32_t c) {
  switch (utf8proc_category(static_cast<int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return is_joiner(c);
  }
}

size_t leading_whitespace(std::string_view text) {
  size_t pos = 0;
  while (pos < text.size()) {
    const Utf8Unit unit = utf8_unit(text, pos);
    if (!is_whitespace(unit.code_point)) break;
    pos += unit.size;
  }
  return pos;
}

size_t trailing_whitespace(std::string_view text) {
  size_t size = 0;
  while (size < text.size()) {
    const std::string_view rest = text.substr(0, text.size() - size);
    const char32_t last = last_character(rest);
    if (!is_whitespace(last)) break;
    std::string encoded;
    append_utf8(last, encoded);
    size += encoded.size();
  }
  return size;
}

char32_t first_character(std::string_view text) { return utf8_unit(text, 0).code_point; }

char32_t last_character(std::string_view text) {
  size_t pos = text.size() - 1;
  while (pos > 0 && (static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80) --pos;
  return utf8_unit(text, pos).code_point;
}

}  // namespace vortex::text

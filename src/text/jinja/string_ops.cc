#include "text/jinja/string_ops.h"

#include <algorithm>

#include "text/jinja/fault.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace vortex::text::jinja {
namespace {

bool is_stripped(std::string_view character, std::optional<std::string_view> chars) {
  if (!chars) return is_space(utf8_unit(character, 0).code_point);
  return chars->find(character) != std::string_view::npos;
}

enum class Case { kUpper, kLower };

// Rewrites each character in the case that `choose(character)` picks.
template <class Choose>
MarkedString recase(Runtime& runtime, const MarkedString& string, Choose choose) {
  runtime.check_size(string.size());
  MarkedString out;
  for_each_character(string.text(), [&](char32_t c, size_t begin, size_t) {
    const bool mark = string.is_untrusted(begin);
    choose(c) == Case::kUpper ? append_upper(c, mark, out) : append_lower(c, mark, out);
  });
  runtime.check_size(out.size());
  return out;
}

std::vector<TextRange> words(const std::string& text) {
  std::vector<TextRange> found;
  size_t begin = std::string::npos;
  for_each_character(text, [&](char32_t c, size_t pos, size_t) {
    if (!is_space(c)) {
      begin = std::min(begin, pos);
    } else if (begin != std::string::npos) {
      found.push_back({begin, pos});
      begin = std::string::npos;
    }
  });
  if (begin != std::string::npos) found.push_back({begin, text.size()});
  return found;
}

// With a limit, the words past it stay together as they stand in the text.
std::vector<TextRange> split_words(const std::string& text, int64_t limit, bool from_right) {
  std::vector<TextRange> found = words(text);
  const size_t count = found.size();
  if (limit < 0 || count <= static_cast<size_t>(limit) + 1) return found;
  const auto kept = static_cast<size_t>(limit);
  if (from_right) {
    const TextRange rest{0, found[count - kept - 1].end};
    found.erase(found.begin(), found.end() - static_cast<ptrdiff_t>(kept));
    found.insert(found.begin(), rest);
  } else {
    found[kept].end = text.size();
    found.resize(kept + 1);
  }
  return found;
}

std::vector<TextRange> split_at(const std::string& text, std::string_view separator, int64_t limit) {
  std::vector<TextRange> found;
  size_t begin = 0;
  for (size_t at = text.find(separator); at != std::string::npos && limit-- != 0; at = text.find(separator, begin)) {
    found.push_back({begin, at});
    begin = at + separator.size();
  }
  found.push_back({begin, text.size()});
  return found;
}

std::vector<TextRange> split_at_from_right(const std::string& text, std::string_view separator, int64_t limit) {
  std::vector<TextRange> found;
  size_t end = text.size();
  while (limit-- != 0 && end >= separator.size()) {
    const size_t at = text.rfind(separator, end - separator.size());
    if (at == std::string::npos) break;
    found.push_back({at + separator.size(), end});
    end = at;
  }
  found.push_back({0, end});
  std::reverse(found.begin(), found.end());
  return found;
}

std::vector<TextRange> cuts(const std::string& text, std::optional<std::string_view> separator, int64_t limit,
                            bool from_right) {
  if (!separator) return split_words(text, limit, from_right);
  if (separator->empty()) fail("a string cannot be split at an empty separator");
  return from_right ? split_at_from_right(text, *separator, limit) : split_at(text, *separator, limit);
}

}  // namespace

MarkedString strip(const MarkedString& string, std::optional<std::string_view> chars, bool left, bool right) {
  const std::string_view text = string.text();
  size_t begin = 0;
  size_t end = text.size();
  while (left && begin < end) {
    const size_t size = utf8_unit(text, begin).size;
    if (!is_stripped(text.substr(begin, size), chars)) break;
    begin += size;
  }
  while (right && end > begin) {
    const size_t last = previous_character(text, end);
    if (!is_stripped(text.substr(last, end - last), chars)) break;
    end = last;
  }
  MarkedString result = string.slice(begin, end);
  result.markup = string.markup;
  return result;
}

MarkedString replace(Runtime& runtime, const MarkedString& string, std::string_view old, const MarkedString& with,
                     int64_t count) {
  const std::string& text = string.text();
  runtime.charge_bytes(text.size());
  MarkedString out;
  size_t copied = 0;
  size_t search = 0;
  while (count-- != 0) {
    const size_t at = search <= text.size() ? text.find(old, search) : std::string::npos;
    if (at == std::string::npos) break;
    out.append(string, copied, at);
    out.append(with);
    if (out.size() > runtime.caps().max_output) break;  // the check below reports it
    copied = at + old.size();
    // An empty pattern stands before every character and at the end.
    search = !old.empty() ? copied : at < text.size() ? at + utf8_unit(text, at).size : at + 1;
  }
  out.append(string, copied, text.size());
  runtime.check_size(out.size());
  return out;
}

std::vector<Value> split(Runtime& runtime, const MarkedString& string, std::optional<std::string_view> separator,
                         int64_t limit, bool from_right) {
  const std::vector<TextRange> ranges = cuts(string.text(), separator, limit, from_right);
  runtime.charge(static_cast<int64_t>(ranges.size() / 8));
  runtime.charge_bytes(string.size());
  std::vector<Value> parts;
  parts.reserve(ranges.size());
  for (const TextRange& range : ranges) parts.push_back(string.slice(range.begin, range.end));
  return parts;
}

std::vector<MarkedString> split_lines(Runtime& runtime, const MarkedString& string, bool keep_ends) {
  const std::string& text = string.text();
  runtime.charge_bytes(text.size());
  std::vector<MarkedString> lines;
  size_t begin = 0;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Unit unit = utf8_unit(text, pos);
    size_t end = pos + unit.size;
    if (is_line_end(unit.code_point)) {
      if (unit.code_point == '\r' && end < text.size() && text[end] == '\n') ++end;
      lines.push_back(string.slice(begin, keep_ends ? end : pos));
      begin = end;
    }
    pos = end;
  }
  if (begin < text.size()) lines.push_back(string.slice(begin, text.size()));
  runtime.charge(static_cast<int64_t>(lines.size() / 8));
  return lines;
}

MarkedString join(Runtime& runtime, const MarkedString& separator, const std::vector<Value>& items) {
  size_t size = items.empty() ? 0 : separator.size() * (items.size() - 1);
  for (const Value& item : items) size += item.string().size();
  runtime.charge(static_cast<int64_t>(items.size() / 8));
  runtime.check_size(size);
  MarkedString out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(separator);
    out.append(items[i].string());
  }
  return out;
}

MarkedString upper(Runtime& runtime, const MarkedString& string) {
  return recase(runtime, string, [](char32_t) { return Case::kUpper; });
}

MarkedString lower(Runtime& runtime, const MarkedString& string) {
  return recase(runtime, string, [](char32_t) { return Case::kLower; });
}

MarkedString swap_case(Runtime& runtime, const MarkedString& string) {
  return recase(runtime, string, [](char32_t c) { return is_upper(c) ? Case::kLower : Case::kUpper; });
}

MarkedString capitalize(Runtime& runtime, const MarkedString& string) {
  return recase(runtime, string,
                [first = true](char32_t) mutable { return std::exchange(first, false) ? Case::kUpper : Case::kLower; });
}

MarkedString title(Runtime& runtime, const MarkedString& string) {
  return recase(runtime, string, [in_word = false](char32_t c) mutable {
    return std::exchange(in_word, is_letter(c)) ? Case::kLower : Case::kUpper;
  });
}

MarkedString title_words(Runtime& runtime, const MarkedString& string) {
  constexpr std::u32string_view kBeforeWord = U"-({[<";
  return recase(runtime, string, [=, in_word = false](char32_t c) mutable {
    const bool separates = is_space(c) || kBeforeWord.find(c) != std::u32string_view::npos;
    return std::exchange(in_word, !separates) ? Case::kLower : Case::kUpper;
  });
}

MarkedString reversed(Runtime& runtime, const MarkedString& string) {
  runtime.check_size(string.size());
  MarkedString out;
  for (size_t end = string.size(); end > 0;) {
    const size_t begin = previous_character(string.text(), end);
    out.append(string, begin, end);
    end = begin;
  }
  return out;
}

MarkedString indent(Runtime& runtime, const MarkedString& string, const MarkedString& by, bool first, bool blank) {
  MarkedString ended = string;
  ended.append("\n");  // so that a last line end counts as one more, empty, line
  const std::vector<MarkedString> lines = split_lines(runtime, ended, false);
  MarkedString out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append("\n");
    if (i == 0 ? first : blank || !lines[i].empty()) out.append(by);
    out.append(lines[i]);
    if (out.size() > runtime.caps().max_output) break;  // the check below reports it
  }
  runtime.check_size(out.size());
  return out;
}

}  // namespace vortex::text::jinja

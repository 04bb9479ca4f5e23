#include "text/jinja/marked_string.h"

#include <algorithm>
#include <utility>

namespace vortex::text::jinja {

MarkedString MarkedString::trusted(std::string text) {
  MarkedString result;
  result.text_ = std::move(text);
  return result;
}

MarkedString MarkedString::untrusted(std::string text) {
  MarkedString result;
  result.text_ = std::move(text);
  if (!result.empty()) result.marks_.push_back({0, result.size()});
  return result;
}

std::vector<TextRange>::const_iterator MarkedString::first_mark_after(size_t pos) const {
  return std::partition_point(marks_.begin(), marks_.end(), [pos](const TextRange& mark) { return mark.end <= pos; });
}

bool MarkedString::is_untrusted(size_t pos) const {
  const auto mark = first_mark_after(pos);
  return mark != marks_.end() && mark->begin <= pos;
}

void MarkedString::append_untrusted(std::string_view text) {
  if (text.empty()) return;
  const size_t begin = text_.size();
  text_ += text;
  if (!marks_.empty() && marks_.back().end == begin) {
    marks_.back().end = text_.size();
  } else {
    marks_.push_back({begin, text_.size()});
  }
}

void MarkedString::append_as(std::string_view text, bool is_untrusted) {
  is_untrusted ? append_untrusted(text) : append(text);
}

void MarkedString::append(const MarkedString& other, size_t begin, size_t end) {
  const std::string_view text = other.text_;
  for (auto mark = other.first_mark_after(begin); mark != other.marks_.end() && mark->begin < end; ++mark) {
    const size_t mark_begin = std::max(begin, mark->begin);
    const size_t mark_end = std::min(end, mark->end);
    append(text.substr(begin, mark_begin - begin));
    append_untrusted(text.substr(mark_begin, mark_end - mark_begin));
    begin = mark_end;
  }
  append(text.substr(begin, end - begin));
}

MarkedString MarkedString::slice(size_t begin, size_t end) const {
  MarkedString result;
  result.append(*this, begin, end);
  return result;
}

}  // namespace vortex::text::jinja

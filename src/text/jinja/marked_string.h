// MarkedString: UTF-8 text that remembers which bytes a stranger supplied. Every operation of the template
// language is built from append and slice, so that no filter can lose a mark.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/text_range.h"

namespace vortex::text::jinja {

class MarkedString {
 public:
  MarkedString() = default;
  /// Text of the template itself, or of the model's own configuration.
  static MarkedString trusted(std::string text);
  /// Text of the caller.
  static MarkedString untrusted(std::string text);

  const std::string& text() const { return text_; }
  /// Sorted, disjoint, not touching, not empty.
  const std::vector<TextRange>& marks() const { return marks_; }
  size_t size() const { return text_.size(); }
  bool empty() const { return text_.empty(); }
  bool is_untrusted(size_t pos) const;

  void append(std::string_view text) { text_ += text; }
  void append_untrusted(std::string_view text);
  void append_as(std::string_view text, bool is_untrusted);
  void append(const MarkedString& other) { append(other, 0, other.size()); }
  void append(const MarkedString& other, size_t begin, size_t end);
  MarkedString slice(size_t begin, size_t end) const;

  /// Escaped for HTML (the `safe` and `escape` filters): `+` escapes what is joined to it.
  bool markup = false;

 private:
  std::vector<TextRange>::const_iterator first_mark_after(size_t pos) const;

  std::string text_;
  std::vector<TextRange> marks_;
};

}  // namespace vortex::text::jinja

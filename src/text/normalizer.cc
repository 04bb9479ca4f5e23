#include "text/normalizer.h"

namespace vortex::text {
namespace {

std::string run(NormalForm form, const std::string& text) { return normalize_unicode(text, form); }

std::string run(const LowercaseStep&, const std::string& text) { return lowercase(text); }

std::string run(const PrependStep& step, const std::string& text) { return text.empty() ? text : step.prefix + text; }

std::string run(const ReplaceStep& step, const std::string& text) {
  std::string out;
  out.reserve(text.size());
  size_t done = 0;
  for (const TextRange& match : step.pattern.find_all(text)) {
    out.append(text, done, match.begin - done);
    out += step.content;
    done = match.end;
  }
  return out.append(text, done);
}

std::string run(const StripStep& step, const std::string& text) {
  const size_t begin = step.left ? leading_whitespace(text) : 0;
  const std::string_view rest = std::string_view(text).substr(begin);
  return std::string(rest.substr(0, rest.size() - (step.right ? trailing_whitespace(rest) : 0)));
}

}  // namespace

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (const NormalizerStep& step : steps_) {
    out = std::visit([&out](const auto& chosen) { return run(chosen, out); }, step);
  }
  return out;
}

}  // namespace vortex::text

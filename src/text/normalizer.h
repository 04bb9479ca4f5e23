// Normalizer: the text rewrites that come before splitting, as a list of steps.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/regex.h"
#include "text/unicode.h"

namespace vortex::text {

struct LowercaseStep {};
struct PrependStep {  // nothing is put before an empty text
  std::string prefix;
};
struct ReplaceStep {
  Regex pattern;
  std::string content;  // taken literally
};
struct StripStep {  // white space
  bool left = false;
  bool right = false;
};
using NormalizerStep = std::variant<NormalForm, LowercaseStep, PrependStep, ReplaceStep, StripStep>;

class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(std::vector<NormalizerStep> steps) : steps_(std::move(steps)) {}

  bool is_identity() const { return steps_.empty(); }
  std::string apply(std::string_view text) const;

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace vortex::text

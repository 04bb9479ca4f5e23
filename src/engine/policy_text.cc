#include "engine/policy_text.h"

#include <fmt/core.h>

#include <cctype>
#include <string_view>
#include <vector>

namespace vortex {
namespace {

constexpr size_t kMaxPolicyBytes = 64 << 10;

struct Place {
  int line = 1;
  int column = 1;
};

Error bad(const Place& at, std::string message, std::string hint = {}) {
  return {ErrorCode::kConfiguration, fmt::format("{}:{}:{}", kPolicyName, at.line, at.column), std::move(message),
          std::move(hint)};
}

/// Walks over C++ text, past comments and literals.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Status scan() {
    while (!done()) VORTEX_RETURN_IF_ERROR(step());
    if (open_.empty()) return {};
    return bad(open_.back(), "this { is never closed");
  }

 private:
  bool done() const { return at_ >= text_.size(); }
  bool sees(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  void advance(size_t count = 1) {
    for (; count > 0 && !done(); --count, ++at_) {
      if (text_[at_] == '\n') {
        place_ = {place_.line + 1, 1};
        line_is_blank_ = true;
      } else {
        ++place_.column;
        line_is_blank_ = line_is_blank_ && std::isspace(static_cast<unsigned char>(text_[at_])) != 0;
      }
    }
  }

  Status step() {
    if (sees("//")) return skip_line();
    if (sees("/*")) return skip_comment();
    if (sees("R\"")) return bad(place_, "raw strings are not read here");
    if (sees("\"")) return skip_literal('"');
    if (sees("'") && !in_number()) return skip_literal('\'');
    if ((sees("#") || sees("%:")) && line_is_blank_) return directive();
    if (sees("{") || sees("<%")) open_.push_back(place_);
    if (sees("}") || sees("%>")) {
      if (open_.empty())
        return bad(place_, "this } closes a { that is not there", "give the body of the function only");
      open_.pop_back();
    }
    advance();
    return {};
  }

  /// 1'000: a mark between digits.
  bool in_number() const { return at_ > 0 && std::isalnum(static_cast<unsigned char>(text_[at_ - 1])) != 0; }

  Status skip_line() {
    while (!done() && !sees("\n")) advance(sees("\\\n") ? 2 : 1);
    return {};
  }

  /// A line that begins with a comment can still be one for the preprocessor.
  Status skip_comment() {
    const Place start = place_;
    const bool blank = line_is_blank_;
    advance(2);
    while (!done() && !sees("*/")) advance();
    if (done()) return bad(start, "this comment has no end");
    advance(2);
    line_is_blank_ = blank || place_.line != start.line;
    return {};
  }

  Status skip_literal(char quote) {
    const Place start = place_;
    advance();
    while (!done() && text_[at_] != quote && text_[at_] != '\n') advance(text_[at_] == '\\' ? 2 : 1);
    if (done() || text_[at_] == '\n') return bad(start, "this literal has no end");
    advance();
    return {};
  }

  Status directive() {
    const Place start = place_;
    advance(sees("#") ? 1 : 2);
    while (sees(" ") || sees("\t")) advance();
    if (sees("pragma")) return skip_line();
    return bad(start, "only #pragma lines may stand in a function's body",
               "the math functions are there without #include");
  }

  const std::string_view text_;
  size_t at_ = 0;
  Place place_;
  bool line_is_blank_ = true;  // so far
  std::vector<Place> open_;
};

// What CUDA device code has without an include: math.h, min and max of mixed types, rsqrtf, and its conversions.
constexpr std::string_view kPrelude = R"(#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <type_traits>
#define __device__
#define __host__
#define __forceinline__ inline
namespace {
template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline int __float2int_rz(float x) { return static_cast<int>(x); }
inline int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
inline int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
inline int __float2int_ru(float x) { return static_cast<int>(ceilf(x)); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
}
extern "C" __attribute__((visibility("default"))) int vortex_schedule_policy(
    int cached_block_len, int topk_val, int block_reserved_bos, int block_reserved_eos, float topk_ratio) {
)";

}  // namespace

Status check_policy_text(const std::string& text) {
  const size_t last = text.find_last_not_of(" \t\r\n\f\v");
  if (last == std::string::npos)
    return bad({}, "the policy is empty",
               "give the body of a function that returns a number of pages, or leave it out");
  if (text.size() > kMaxPolicyBytes) return bad({}, fmt::format("longer than {} bytes", kMaxPolicyBytes));
  if (text[last] == '\\') return bad({}, "the last line ends in a backslash");
  if (text.find('\0') != std::string::npos) return bad({}, "holds a zero byte");
  return Scanner(text).scan();
}

std::string policy_source(const std::string& text) {
  return fmt::format("{}#line 1 \"{}\"\n{}\n}}\n", kPrelude, kPolicyName, text);
}

}  // namespace vortex

#include "text/byte_alphabet.h"

#include <array>

#include "text/utf8.h"

namespace vortex::text {
namespace {

constexpr bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

constexpr int kFirstShifted = 0x100;
constexpr int kShiftedCount = 68;

struct Alphabet {
  char utf8[256][2] = {};
  uint8_t size[256] = {};
  int16_t byte_of[kFirstShifted + kShiftedCount] = {};  // by code point, -1 outside the alphabet
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte_of) byte = -1;
  int shifted = kFirstShifted;
  for (int byte = 0; byte < 256; ++byte) {
    const int code_point = stands_for_itself(byte) ? byte : shifted++;
    alphabet.byte_of[code_point] = static_cast<int16_t>(byte);
    alphabet.size[byte] = code_point < 0x80 ? 1 : 2;
    alphabet.utf8[byte][0] = static_cast<char>(code_point < 0x80 ? code_point : 0xC0 | code_point >> 6);
    alphabet.utf8[byte][1] = static_cast<char>(0x80 | (code_point & 0x3F));
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string_view byte_character(uint8_t byte) { return {kAlphabet.utf8[byte], kAlphabet.size[byte]}; }

std::optional<std::string> bytes_of_characters(std::string_view text) {
  std::string bytes;
  bool inside = true;
  for_each_character(text, [&](char32_t c, size_t, size_t) {
    const int byte = c < kFirstShifted + kShiftedCount ? kAlphabet.byte_of[c] : -1;
    inside = inside && byte >= 0;
    if (inside) bytes.push_back(static_cast<char>(byte));
  });
  if (!inside) return std::nullopt;
  return bytes;
}

}  // namespace vortex::text

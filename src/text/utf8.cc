#include "text/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace vortex::text {
namespace {

// Length and allowed second byte by lead byte: Unicode 15, table 3-7.
struct Lead {
  uint8_t length, second_low, second_high, payload;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0xC2 || byte > 0xF4) return {0, 0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF, static_cast<uint8_t>(byte & 0x1F)};
  if (byte < 0xF0) {
    const uint8_t low = byte == 0xE0 ? 0xA0 : 0x80;
    const uint8_t high = byte == 0xED ? 0x9F : 0xBF;
    return {3, low, high, static_cast<uint8_t>(byte & 0x0F)};
  }
  const uint8_t low = byte == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = byte == 0xF4 ? 0x8F : 0xBF;
  return {4, low, high, static_cast<uint8_t>(byte & 0x07)};
}

size_t ascii_prefix(std::string_view text, size_t pos) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  const size_t begin = pos;
  for (uint64_t word; pos + sizeof(word) <= text.size(); pos += sizeof(word)) {
    std::memcpy(&word, text.data() + pos, sizeof(word));
    if (word & kHighBits) break;
  }
  while (pos < text.size() && static_cast<uint8_t>(text[pos]) < 0x80) ++pos;
  return pos - begin;
}

}  // namespace

Utf8Unit utf8_unit(std::string_view text, size_t pos) {
  const auto first = static_cast<uint8_t>(text[pos]);
  if (first < 0x80) return {Utf8Unit::kCharacter, first, 1};
  const Lead lead = lead_of(first);
  char32_t code_point = lead.payload;
  for (size_t i = 1; i < lead.length; ++i) {
    if (pos + i == text.size()) return {Utf8Unit::kIncomplete, kReplacementCharacter, i};
    const auto byte = static_cast<uint8_t>(text[pos + i]);
    const uint8_t low = i == 1 ? lead.second_low : 0x80;
    const uint8_t high = i == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return {Utf8Unit::kInvalid, kReplacementCharacter, i};
    code_point = code_point << 6 | (byte & 0x3F);
  }
  if (lead.length == 0) return {Utf8Unit::kInvalid, kReplacementCharacter, 1};
  return {Utf8Unit::kCharacter, code_point, lead.length};
}

bool is_valid_utf8(std::string_view text) {
  for (size_t pos = ascii_prefix(text, 0); pos < text.size();) {
    const Utf8Unit unit = utf8_unit(text, pos);
    if (unit.kind != Utf8Unit::kCharacter) return false;
    pos += unit.size;
    pos += ascii_prefix(text, pos);
  }
  return true;
}

void append_utf8(char32_t code_point, std::string& out) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

size_t append_repaired(std::string_view bytes, std::string& out) {
  size_t pos = 0;
  while (pos < bytes.size()) {
    const size_t ascii = ascii_prefix(bytes, pos);
    out.append(bytes, pos, ascii);
    pos += ascii;
    if (pos == bytes.size()) break;
    const Utf8Unit unit = utf8_unit(bytes, pos);
    if (unit.kind == Utf8Unit::kIncomplete) break;
    if (unit.kind == Utf8Unit::kCharacter) {
      out.append(bytes, pos, unit.size);
    } else {
      out += kReplacementUtf8;
    }
    pos += unit.size;
  }
  return pos;
}

std::string repaired_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  if (append_repaired(bytes, out) < bytes.size()) out += kReplacementUtf8;
  return out;
}

}  // namespace vortex::text

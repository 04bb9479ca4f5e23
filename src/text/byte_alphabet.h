// The printable alphabet of byte-level BPE (GPT-2): each byte has one character, so that vocabularies hold
// text. Printable Latin-1 bytes stand for themselves, the others for U+0100 and on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vortex::text {

/// UTF-8 of the character that stands for `byte`.
std::string_view byte_character(uint8_t byte);

/// The bytes that `text` stands for, or nothing if a character is outside the alphabet.
std::optional<std::string> bytes_of_characters(std::string_view text);

}  // namespace vortex::text

// The bytes of one GGUF file to metadata and tensors: the part that faces hostile input.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/gguf.h"

namespace vortex {

struct GgufContents {
  std::map<std::string_view, GgufValue> metadata;
  std::vector<NamedTensor> tensors;
};

/// Strings and tensors point into `bytes`. kDataLoss for what is cut off or lies, kUnsupported for other versions,
/// big endian files and tensor types we cannot decode.
Result<GgufContents> parse_gguf(std::span<const std::byte> bytes, std::string_view where);

}  // namespace vortex

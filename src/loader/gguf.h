// Reader for GGUF version 2 and 3, little endian, single or split files. Nothing in a file is believed: counts,
// lengths, dimensions and offsets are bounded by caps and by the real size before they are used.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "loader/mmap_file.h"
#include "loader/tensor_list.h"

namespace vortex {

/// Elements of one metadata array, all of one kind: integers and booleans widen to int64, floats to double. Strings
/// point into the file.
struct GgufArray {
  std::variant<std::vector<int64_t>, std::vector<double>, std::vector<std::string_view>, std::vector<GgufArray>> items;
};

/// One metadata value: every integer width widens to int64, every float to double.
using GgufValue = std::variant<bool, int64_t, double, std::string_view, GgufArray>;

class GgufFile {
 public:
  /// Opens a file, or all parts of a split when `path` is its first part ("x-00001-of-00003.gguf").
  static Result<std::unique_ptr<GgufFile>> open(const std::string& path);
  /// Parses one whole file in memory, which must outlive the result. `where` names it in errors.
  static Result<std::unique_ptr<GgufFile>> parse(std::span<const std::byte> bytes, const std::string& where);

  /// Metadata of the file (of the first part, when split), in key order. Keys and strings point into the file.
  const std::map<std::string_view, GgufValue>& metadata() const { return metadata_; }
  const GgufValue* find(std::string_view key) const;
  /// Nothing when the key is absent or of another kind. number() takes integers too.
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string_view> string(std::string_view key) const;
  const std::vector<std::string_view>* strings(std::string_view key) const;
  const std::vector<int64_t>* integers(std::string_view key) const;
  const std::vector<double>* numbers(std::string_view key) const;

  /// Tensors of all parts under GGUF's names, shapes in row-major order: [out, in] for a projection.
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  const NamedTensor* find_tensor(std::string_view name) const;
  int64_t file_bytes() const { return file_bytes_; }
  void advise(MappedFile::Advice advice) const;
  const std::string& path() const { return path_; }

 private:
  GgufFile() = default;
  Status append_parts();
  Status append_part(int64_t number, int64_t count);
  template <class T>
  const std::vector<T>* array(std::string_view key) const;

  std::string path_;
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::map<std::string_view, GgufValue> metadata_;
  std::vector<NamedTensor> tensors_;
  int64_t file_bytes_ = 0;
};

}  // namespace vortex

#include "loader/gguf.h"

#include <algorithm>

#include "loader/errors.h"
#include "loader/gguf_parse.h"

namespace vortex {
namespace {

constexpr int64_t kMaxParts = 10000;
constexpr std::string_view kFirstPart = "-00001-of-";

template <class T>
std::optional<T> scalar(const GgufValue* value) {
  const T* held = value ? std::get_if<T>(value) : nullptr;
  return held ? std::optional<T>(*held) : std::nullopt;
}

/// Path of part `number` (from 1): the digits before "-of-" are replaced.
std::string part_path(const std::string& first, int64_t number) {
  std::string path = first;
  path.replace(path.rfind(kFirstPart) + 1, 5, fmt::format("{:05}", number));
  return path;
}

bool is_first_part(const std::string& path) {
  const size_t at = path.rfind(kFirstPart);
  return at != std::string::npos && path.size() == at + kFirstPart.size() + 5 + std::string_view(".gguf").size();
}

std::optional<std::string> repeated_name(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> names;
  for (const NamedTensor& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  return twice == names.end() ? std::nullopt : std::optional<std::string>(*twice);
}

}  // namespace

Result<std::unique_ptr<GgufFile>> GgufFile::parse(std::span<const std::byte> bytes, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(GgufContents contents, parse_gguf(bytes, where));
  std::unique_ptr<GgufFile> file(new GgufFile);
  file->path_ = where;
  file->metadata_ = std::move(contents.metadata);
  file->tensors_ = std::move(contents.tensors);
  file->file_bytes_ = static_cast<int64_t>(bytes.size());
  return file;
}

Result<std::unique_ptr<GgufFile>> GgufFile::open(const std::string& path) {
  VORTEX_ASSIGN_OR_RETURN(auto mapped, MappedFile::open(path));
  VORTEX_ASSIGN_OR_RETURN(auto file, parse(mapped->bytes(), path));
  file->files_.push_back(std::move(mapped));
  VORTEX_RETURN_IF_ERROR(file->append_parts());
  return file;
}

Status GgufFile::append_parts() {
  const int64_t count = integer("split.count").value_or(1);
  if (count <= 1) return {};
  if (count > kMaxParts) return data_loss(path_, fmt::format("claims to be split in {} parts", count));
  if (integer("split.no").value_or(0) != 0 || !is_first_part(path_)) {
    return Error{ErrorCode::kInvalidArgument, path_, fmt::format("is one of {} parts of a split model", count),
                 fmt::format("name the first part, which ends in -00001-of-{:05}.gguf", count)};
  }
  for (int64_t number = 2; number <= count; ++number) VORTEX_RETURN_IF_ERROR(append_part(number, count));
  if (const auto name = repeated_name(tensors_)) {
    return data_loss(path_, fmt::format("has tensor {} in two parts", quote_name(*name)));
  }
  const int64_t expected = integer("split.tensors.count").value_or(static_cast<int64_t>(tensors_.size()));
  if (expected == static_cast<int64_t>(tensors_.size())) return {};
  return data_loss(path_, fmt::format("promises {} tensors; its parts hold {}", expected, tensors_.size()));
}

Status GgufFile::append_part(int64_t number, int64_t count) {
  const std::string path = part_path(path_, number);
  VORTEX_ASSIGN_OR_RETURN(auto mapped, MappedFile::open(path));
  VORTEX_ASSIGN_OR_RETURN(const auto part, parse(mapped->bytes(), path));
  if (part->integer("split.no") != number - 1 || part->integer("split.count") != count) {
    return data_loss(path, fmt::format("is not part {} of {}", number, count));
  }
  tensors_.insert(tensors_.end(), part->tensors_.begin(), part->tensors_.end());
  file_bytes_ += part->file_bytes_;
  files_.push_back(std::move(mapped));
  return {};
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto it = metadata_.find(key);
  return it == metadata_.end() ? nullptr : &it->second;
}

std::optional<int64_t> GgufFile::integer(std::string_view key) const { return scalar<int64_t>(find(key)); }

std::optional<double> GgufFile::number(std::string_view key) const {
  if (const auto whole = integer(key)) return static_cast<double>(*whole);
  return scalar<double>(find(key));
}

std::optional<bool> GgufFile::boolean(std::string_view key) const { return scalar<bool>(find(key)); }

std::optional<std::string_view> GgufFile::string(std::string_view key) const {
  return scalar<std::string_view>(find(key));
}

template <class T>
const std::vector<T>* GgufFile::array(std::string_view key) const {
  const GgufValue* value = find(key);
  const auto* held = value ? std::get_if<GgufArray>(value) : nullptr;
  return held ? std::get_if<std::vector<T>>(&held->items) : nullptr;
}

const std::vector<std::string_view>* GgufFile::strings(std::string_view key) const {
  return array<std::string_view>(key);
}
const std::vector<int64_t>* GgufFile::integers(std::string_view key) const { return array<int64_t>(key); }
const std::vector<double>* GgufFile::numbers(std::string_view key) const { return array<double>(key); }

const NamedTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto it =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& tensor) { return tensor.name == name; });
  return it == tensors_.end() ? nullptr : &*it;
}

void GgufFile::advise(MappedFile::Advice advice) const {
  for (const auto& file : files_) file->advise(advice);
}

}  // namespace vortex

#include "loader/safetensors.h"

#include <algorithm>
#include <cstring>

#include "loader/errors.h"
#include "loader/json.h"

namespace vortex {
namespace {

using nlohmann::json;

constexpr size_t kPrefixBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's cap
constexpr int kHeaderDepth = 3;                    // header, tensor, shape

struct StoredType {
  std::string_view name;
  DType dtype;
};
constexpr StoredType kStoredTypes[] = {
    {"F32", DType::kF32},        {"F16", DType::kF16}, {"BF16", DType::kBF16}, {"F8_E4M3", DType::kF8E4M3},
    {"F8_E5M2", DType::kF8E5M2}, {"I8", DType::kI8},   {"I32", DType::kI32},   {"I64", DType::kI64},
    {"U8", DType::kU8},          {"BOOL", DType::kU8},
};

/// Where the parts of a file lie; the error side names it.
struct FileView {
  std::string_view where;
  std::string_view header;
  std::span<const std::byte> data;

  Error bad_tensor(const std::string& name, std::string_view what) const {
    return data_loss(where, fmt::format("tensor {} {}", quote_name(name), what));
  }
};

Result<FileView> split_file(std::span<const std::byte> file, std::string_view where) {
  if (file.size() < kPrefixBytes) return data_loss(where, fmt::format("only {} bytes, cut off", file.size()));
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kPrefixBytes);
  if (length > kMaxHeaderBytes || length > file.size() - kPrefixBytes) {
    return data_loss(where, fmt::format("claims a header of {} bytes; the file has {}", length, file.size()));
  }
  const auto* text = reinterpret_cast<const char*>(file.data()) + kPrefixBytes;
  if (length == 0 || text[0] != '{') return data_loss(where, "does not start with a safetensors header");
  const auto header_bytes = static_cast<size_t>(length);
  return FileView{where, std::string_view(text, header_bytes), file.subspan(kPrefixBytes + header_bytes)};
}

Result<DType> read_dtype(const FileView& file, const std::string& name, const json& entry) {
  const auto it = entry.find("dtype");
  if (it == entry.end() || !it->is_string()) return file.bad_tensor(name, "has no dtype");
  const auto& text = it->get_ref<const std::string&>();
  for (const StoredType& type : kStoredTypes) {
    if (text == type.name) return type.dtype;
  }
  return unsupported(file.where, fmt::format("tensor {} has dtype {}", quote_name(name), quote_name(text)),
                     "float32, float16 and bfloat16 weights can be read");
}

/// A non-negative integer that fits int64, or nothing.
std::optional<int64_t> as_size(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<uint64_t>();
  if (number > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
  return static_cast<int64_t>(number);
}

Result<Shape> read_shape(const FileView& file, const std::string& name, const json& entry) {
  const auto it = entry.find("shape");
  if (it == entry.end() || !it->is_array()) return file.bad_tensor(name, "has no shape");
  if (it->size() > Shape::kMaxRank) {
    return unsupported(file.where, fmt::format("tensor {} has {} dimensions, at most {} can be read", quote_name(name),
                                               it->size(), Shape::kMaxRank));
  }
  Shape shape;
  for (const json& dim : *it) {
    const auto size = as_size(dim);
    if (!size) return file.bad_tensor(name, "has a dimension that is no size");
    shape.push_back(*size);
  }
  return shape;
}

struct Extent {
  int64_t begin = 0;
  int64_t end = 0;
};

Result<Extent> read_extent(const FileView& file, const std::string& name, const json& entry) {
  const auto it = entry.find("data_offsets");
  if (it == entry.end() || !it->is_array() || it->size() != 2) return file.bad_tensor(name, "has no data_offsets");
  const auto begin = as_size((*it)[0]), end = as_size((*it)[1]);
  if (!begin || !end || *begin > *end) return file.bad_tensor(name, "has data_offsets that are no range");
  if (static_cast<uint64_t>(*end) > file.data.size()) {
    return file.bad_tensor(name, fmt::format("ends at data byte {}; the file holds {}", *end, file.data.size()));
  }
  return Extent{*begin, *end};
}

Result<NamedTensor> read_tensor(const FileView& file, const std::string& name, const json& entry) {
  if (!entry.is_object()) return file.bad_tensor(name, "is not described by an object");
  VORTEX_ASSIGN_OR_RETURN(const DType dtype, read_dtype(file, name, entry));
  VORTEX_ASSIGN_OR_RETURN(const Shape shape, read_shape(file, name, entry));
  VORTEX_ASSIGN_OR_RETURN(const Extent extent, read_extent(file, name, entry));
  const auto bytes = checked_tensor_bytes(dtype, shape);
  if (!bytes) return file.bad_tensor(name, fmt::format("has the impossible shape {}", shape.to_string()));
  if (*bytes != extent.end - extent.begin) {
    return file.bad_tensor(name, fmt::format("of shape {} needs {} bytes but has {}", shape.to_string(), *bytes,
                                             extent.end - extent.begin));
  }
  return NamedTensor{name, {file.data.data() + extent.begin, dtype, shape}};
}

/// Tensors must follow each other without gap or overlap and fill the data area.
Status check_cover(const FileView& file, const std::vector<NamedTensor>& tensors) {
  std::vector<const NamedTensor*> order;
  order.reserve(tensors.size());
  for (const NamedTensor& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    return a->view.data != b->view.data ? a->view.data < b->view.data : a->view.bytes() < b->view.bytes();
  });
  int64_t covered = 0;
  for (const NamedTensor* tensor : order) {
    const int64_t begin = tensor->view.data - file.data.data();
    if (begin < covered) return file.bad_tensor(tensor->name, "overlaps another tensor");
    if (begin > covered) return file.bad_tensor(tensor->name, fmt::format("leaves a gap at data byte {}", covered));
    covered = begin + tensor->view.bytes();
  }
  if (static_cast<uint64_t>(covered) == file.data.size()) return {};
  return data_loss(file.where, fmt::format("holds {} bytes of data; its tensors need {}", file.data.size(), covered));
}

}  // namespace

Result<std::vector<NamedTensor>> parse_safetensors(std::span<const std::byte> file, std::string_view where) {
  VORTEX_ASSIGN_OR_RETURN(const FileView view, split_file(file, where));
  VORTEX_ASSIGN_OR_RETURN(const json header, parse_json(view.header, where, kHeaderDepth));
  std::vector<NamedTensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    VORTEX_ASSIGN_OR_RETURN(NamedTensor tensor, read_tensor(view, name, entry));
    tensors.push_back(std::move(tensor));
  }
  VORTEX_RETURN_IF_ERROR(check_cover(view, tensors));
  return tensors;
}

}  // namespace vortex

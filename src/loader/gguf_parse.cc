#include "loader/gguf_parse.h"

#include <algorithm>
#include <cstring>

#include "loader/errors.h"

namespace vortex {
namespace {

constexpr uint64_t kMaxStringBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxKeyBytes = 65535;  // the format's own limit
constexpr uint64_t kMaxNameBytes = 64;    // the format's own limit
constexpr uint64_t kMaxEntries = 1 << 20;
constexpr int kMaxArrayDepth = 4;
constexpr int64_t kDefaultAlignment = 32;
constexpr int64_t kMaxAlignment = 1 << 20;

// Fewest bytes an entry can take: they bound every count before memory is set aside for it.
constexpr uint64_t kMinMetadataBytes = 8 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 4 + 8 + 4 + 8;

enum ValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kFloat,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kDouble,
  kValueTypes,
};
constexpr uint64_t kMinValueBytes[kValueTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

struct StoredType {
  uint32_t id;
  std::string_view name;
  std::optional<DType> dtype;  // nothing: known by name only
};
constexpr StoredType kStoredTypes[] = {
    {0, "F32", DType::kF32},
    {1, "F16", DType::kF16},
    {2, "Q4_0", DType::kQ4_0},
    {3, "Q4_1", DType::kQ4_1},
    {6, "Q5_0", DType::kQ5_0},
    {7, "Q5_1", DType::kQ5_1},
    {8, "Q8_0", DType::kQ8_0},
    {9, "Q8_1", {}},
    {10, "Q2_K", {}},
    {11, "Q3_K", {}},
    {12, "Q4_K", DType::kQ4_K},
    {13, "Q5_K", DType::kQ5_K},
    {14, "Q6_K", DType::kQ6_K},
    {15, "Q8_K", {}},
    {16, "IQ2_XXS", {}},
    {17, "IQ2_XS", {}},
    {18, "IQ3_XXS", {}},
    {19, "IQ1_S", {}},
    {20, "IQ4_NL", {}},
    {21, "IQ3_S", {}},
    {22, "IQ2_S", {}},
    {23, "IQ4_XS", {}},
    {24, "I8", {}},
    {25, "I16", {}},
    {26, "I32", {}},
    {27, "I64", {}},
    {28, "F64", {}},
    {29, "IQ1_M", {}},
    {30, "BF16", DType::kBF16},
    {34, "TQ1_0", {}},
    {35, "TQ2_0", {}},
    {39, "MXFP4", {}},
};

/// Reads forward. After the first failure every read gives zero and the first error stays.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string_view where) : bytes_(bytes), where_(where) {}

  bool ok() const { return !error_.has_value(); }
  const Error& error() const { return *error_; }
  size_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }
  void fail(std::string message) { fail(data_loss(where_, std::move(message))); }
  void fail(Error error) {
    if (ok()) error_ = std::move(error);
  }
  std::string_view where() const { return where_; }

  template <class T>
  T read() {
    T value{};
    if (!has(sizeof(T))) return value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  std::string_view read_string(uint64_t max_bytes) {
    const auto length = read<uint64_t>();
    if (length > max_bytes) fail(fmt::format("has a string of {} bytes at byte {}", length, position_));
    if (!has(length)) return {};
    const auto* text = reinterpret_cast<const char*>(bytes_.data()) + position_;
    position_ += static_cast<size_t>(length);
    return {text, static_cast<size_t>(length)};
  }

  /// A count of entries of at least `min_bytes` each, all of which the rest of the file could hold.
  uint64_t read_count(uint64_t min_bytes, uint64_t cap, std::string_view what) {
    const auto count = read<uint64_t>();
    if (count <= cap && count <= remaining() / min_bytes) return count;
    fail(fmt::format("claims {} {} with {} bytes left", count, what, remaining()));
    return 0;
  }

 private:
  bool has(uint64_t size) {
    if (size > remaining()) fail(fmt::format("cut off at byte {} of {}", position_, bytes_.size()));
    return ok();
  }

  std::span<const std::byte> bytes_;
  std::string_view where_;
  size_t position_ = 0;
  std::optional<Error> error_;
};

int64_t read_u64(Cursor& in) {
  const auto value = in.read<uint64_t>();
  if (value > static_cast<uint64_t>(INT64_MAX)) in.fail(fmt::format("has the number {}, out of range", value));
  return static_cast<int64_t>(value);
}

bool read_bool(Cursor& in) {
  const auto value = in.read<uint8_t>();
  if (value > 1) in.fail(fmt::format("has a boolean of {} before byte {}", value, in.position()));
  return value == 1;
}

int64_t read_integer(Cursor& in, uint32_t type) {
  switch (type) {
    case kU8:
      return in.read<uint8_t>();
    case kI8:
      return in.read<int8_t>();
    case kU16:
      return in.read<uint16_t>();
    case kI16:
      return in.read<int16_t>();
    case kU32:
      return in.read<uint32_t>();
    case kI32:
      return in.read<int32_t>();
    case kU64:
      return read_u64(in);
    case kI64:
      return in.read<int64_t>();
    default:
      return read_bool(in);
  }
}

double read_float(Cursor& in, uint32_t type) {
  return type == kFloat ? static_cast<double>(in.read<float>()) : in.read<double>();
}

uint32_t read_value_type(Cursor& in) {
  const auto type = in.read<uint32_t>();
  if (type >= kValueTypes) in.fail(fmt::format("has the unknown value type {} before byte {}", type, in.position()));
  return in.ok() ? type : uint32_t{kU8};
}

template <class Read>
auto read_items(Cursor& in, uint64_t count, Read read) {
  std::vector<decltype(read())> items;
  items.reserve(static_cast<size_t>(count));
  for (uint64_t i = 0; i < count && in.ok(); ++i) items.push_back(read());
  return items;
}

GgufArray read_array(Cursor& in, int depth) {
  if (depth > kMaxArrayDepth) in.fail(fmt::format("nests arrays deeper than {} levels", kMaxArrayDepth));
  const uint32_t type = read_value_type(in);
  const uint64_t count = in.read_count(kMinValueBytes[type], UINT64_MAX, "array elements");
  if (!in.ok()) return {};
  switch (type) {
    case kString:
      return {read_items(in, count, [&] { return in.read_string(kMaxStringBytes); })};
    case kArray:
      return {read_items(in, count, [&] { return read_array(in, depth + 1); })};
    case kFloat:
    case kDouble:
      return {read_items(in, count, [&] { return read_float(in, type); })};
    default:
      return {read_items(in, count, [&] { return read_integer(in, type); })};
  }
}

GgufValue read_value(Cursor& in) {
  const uint32_t type = read_value_type(in);
  switch (type) {
    case kString:
      return in.read_string(kMaxStringBytes);
    case kArray:
      return read_array(in, 1);
    case kFloat:
    case kDouble:
      return read_float(in, type);
    case kBool:
      return read_bool(in);
    default:
      return read_integer(in, type);
  }
}

struct Counts {
  uint64_t tensors = 0;
  uint64_t metadata = 0;
};

void check_version(Cursor& in, uint32_t version) {
  if (version == 2 || version == 3 || !in.ok()) return;
  if (version == 0x02000000u || version == 0x03000000u) {
    in.fail(unsupported(in.where(), "is a big endian GGUF file", "use a little endian version of the model"));
  } else {
    in.fail(unsupported(in.where(), fmt::format("is GGUF version {}; 2 and 3 can be read", version)));
  }
}

Counts read_header(Cursor& in) {
  char magic[4];
  for (char& c : magic) c = in.read<char>();
  if (in.ok() && std::memcmp(magic, "GGUF", 4) != 0) in.fail("is no GGUF file: it does not start with 'GGUF'");
  check_version(in, in.read<uint32_t>());
  Counts counts;
  counts.tensors = in.read_count(kMinTensorBytes, kMaxEntries, "tensors");
  counts.metadata = in.read_count(kMinMetadataBytes, kMaxEntries, "metadata entries");
  return counts;
}

void read_metadata(Cursor& in, uint64_t count, GgufContents* out) {
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    const std::string_view key = in.read_string(kMaxKeyBytes);
    GgufValue value = read_value(in);
    if (!in.ok()) return;
    if (!out->metadata.emplace(key, std::move(value)).second) {
      in.fail(fmt::format("has the key {} twice", quote_name(key)));
    }
  }
}

struct TensorInfo {
  std::string_view name;
  Shape shape;
  DType dtype = DType::kF32;
  int64_t offset = 0;
  int64_t bytes = 0;
};

DType read_tensor_type(Cursor& in, std::string_view name) {
  const auto id = in.read<uint32_t>();
  const auto* type = std::find_if(std::begin(kStoredTypes), std::end(kStoredTypes),
                                  [&](const StoredType& candidate) { return candidate.id == id; });
  if (type != std::end(kStoredTypes) && type->dtype) return *type->dtype;
  const std::string spelled = type == std::end(kStoredTypes) ? fmt::format("number {}", id) : std::string(type->name);
  in.fail(unsupported(in.where(), fmt::format("tensor {} has the type {}", quote_name(name), spelled),
                      "readable: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K"));
  return DType::kF32;
}

/// GGUF lists the fastest dimension first; a Shape lists it last.
Shape read_shape(Cursor& in, std::string_view name) {
  const auto rank = in.read<uint32_t>();
  if (rank < 1 || rank > Shape::kMaxRank) {
    in.fail(fmt::format("tensor {} has {} dimensions, 1 to 4 are possible", quote_name(name), rank));
    return {};
  }
  int64_t dims[Shape::kMaxRank];
  for (uint32_t i = 0; i < rank; ++i) {
    dims[i] = read_u64(in);
    if (dims[i] < 1) in.fail(fmt::format("tensor {} has an empty dimension", quote_name(name)));
  }
  Shape shape;
  for (uint32_t i = rank; i > 0 && in.ok(); --i) shape.push_back(dims[i - 1]);
  return shape;
}

TensorInfo read_tensor_info(Cursor& in) {
  TensorInfo info;
  info.name = in.read_string(kMaxNameBytes);
  info.shape = read_shape(in, info.name);
  info.dtype = read_tensor_type(in, info.name);
  info.offset = read_u64(in);
  const auto bytes = in.ok() ? checked_tensor_bytes(info.dtype, info.shape) : 0;
  if (!bytes) {
    in.fail(fmt::format("tensor {} has the shape {}, impossible for {}", quote_name(info.name), info.shape.to_string(),
                        dtype_info(info.dtype).name));
  }
  info.bytes = bytes.value_or(0);
  return info;
}

int64_t read_alignment(Cursor& in, const GgufContents& contents) {
  const auto it = contents.metadata.find("general.alignment");
  if (it == contents.metadata.end()) return kDefaultAlignment;
  const auto* value = std::get_if<int64_t>(&it->second);
  if (value && *value >= 1 && *value <= kMaxAlignment && (*value & (*value - 1)) == 0) return *value;
  in.fail("general.alignment is no power of two below 1 MiB");
  return kDefaultAlignment;
}

/// Names differ, offsets are aligned, data lies inside the file and no two tensors share a byte.
void check_layout(Cursor& in, std::vector<TensorInfo> infos, int64_t alignment, int64_t data_bytes) {
  for (const TensorInfo& info : infos) {
    if (info.offset % alignment != 0) {
      in.fail(fmt::format("tensor {} starts at {}, no multiple of {}", quote_name(info.name), info.offset, alignment));
    } else if (info.offset > data_bytes || info.bytes > data_bytes - info.offset) {
      in.fail(fmt::format("tensor {} needs {} bytes from {}; the file holds {} bytes of data", quote_name(info.name),
                          info.bytes, info.offset, data_bytes));
    }
  }
  if (!in.ok()) return;
  std::sort(infos.begin(), infos.end(), [](const TensorInfo& a, const TensorInfo& b) { return a.offset < b.offset; });
  for (size_t i = 1; i < infos.size(); ++i) {
    if (infos[i].offset < infos[i - 1].offset + infos[i - 1].bytes) {
      in.fail(fmt::format("tensor {} overlaps {}", quote_name(infos[i].name), quote_name(infos[i - 1].name)));
    }
  }
}

void check_names(Cursor& in, const std::vector<TensorInfo>& infos) {
  std::vector<std::string_view> names;
  for (const TensorInfo& info : infos) names.push_back(info.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) in.fail(fmt::format("has the tensor {} twice", quote_name(*twice)));
}

}  // namespace

Result<GgufContents> parse_gguf(std::span<const std::byte> bytes, std::string_view where) {
  Cursor in(bytes, where);
  GgufContents contents;
  const Counts counts = read_header(in);
  read_metadata(in, counts.metadata, &contents);
  const int64_t alignment = read_alignment(in, contents);
  const auto infos = read_items(in, in.ok() ? counts.tensors : 0, [&] { return read_tensor_info(in); });
  if (!in.ok()) return in.error();

  const auto size = static_cast<int64_t>(bytes.size());
  const int64_t data = (static_cast<int64_t>(in.position()) + alignment - 1) / alignment * alignment;
  check_names(in, infos);
  check_layout(in, infos, alignment, std::max<int64_t>(size - data, 0));
  if (!in.ok()) return in.error();
  for (const TensorInfo& info : infos) {
    contents.tensors.push_back({std::string(info.name), {bytes.data() + data + info.offset, info.dtype, info.shape}});
  }
  return contents;
}

}  // namespace vortex

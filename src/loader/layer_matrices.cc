#include "loader/layer_matrices.h"

#include <charconv>
#include <cstring>
#include <optional>

#include "loader/errors.h"
#include "loader/json.h"
#include "loader/safetensors.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex {
namespace {

using Matrices = std::vector<std::vector<uint16_t>>;

Error refuse(const std::string& path, std::string message, std::string hint = {}) {
  return {ErrorCode::kConfiguration, path, std::move(message), std::move(hint)};
}

/// The header was checked by parse_safetensors.
Result<bool> is_shared_by_layers(std::span<const std::byte> file, const std::string& path) {
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + sizeof(length), length);
  VORTEX_ASSIGN_OR_RETURN(const nlohmann::json header, parse_json(text, path));
  const auto metadata = header.find("__metadata__");
  if (metadata == header.end() || !metadata->is_object()) return false;
  const auto per_layer = metadata->find("per_layer");
  return per_layer != metadata->end() && (*per_layer == "false" || *per_layer == "False" || *per_layer == false);
}

std::vector<uint16_t> to_bf16(DType dtype, const std::byte* data, int64_t count) {
  std::vector<float> numbers(static_cast<size_t>(count));
  dequantize(dtype, data, numbers.data(), count);
  std::vector<uint16_t> out(numbers.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = f32_to_bf16(numbers[i]);
  return out;
}

/// N of "name.N".
std::optional<int> layer_of(std::string_view tensor, const std::string& name) {
  if (!tensor.starts_with(name + ".")) return std::nullopt;
  const std::string_view digits = tensor.substr(name.size() + 1);
  int layer = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
  if (fault != std::errc() || end != digits.data() + digits.size() || layer < 0) return std::nullopt;
  return layer;
}

/// One file with the matrices of one name.
class MatrixReader {
 public:
  MatrixReader(std::string path, std::string name, const LayerMatrixShape& shape)
      : path_(std::move(path)), name_(std::move(name)), shape_(shape), out_(static_cast<size_t>(shape.layers)) {}

  Result<Matrices> read(const std::vector<NamedTensor>& tensors) {
    for (const NamedTensor& tensor : tensors) {
      if (tensor.name == name_) VORTEX_RETURN_IF_ERROR(take_stack(tensor));
      if (const auto layer = layer_of(tensor.name, name_)) VORTEX_RETURN_IF_ERROR(take_layer(tensor, *layer));
    }
    if (found_) return std::move(out_);
    return refuse(path_, fmt::format("has neither a tensor '{}' nor any '{}.N', N the layer", name_, name_),
                  fmt::format("'{}' is {}, or each '{}.N' [{}, {}]", name_, stack().to_string(), name_, shape_.rows,
                              shape_.cols));
  }

 private:
  Shape stack() const { return {shape_.layers, shape_.rows, shape_.cols}; }

  Status check(const NamedTensor& tensor, const Shape& needed) {
    const DType dtype = tensor.view.dtype;
    if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16)
      return refuse(path_, fmt::format("tensor '{}' is of type {}", tensor.name, dtype_info(dtype).name),
                    "float32, float16 or bfloat16");
    if (!(tensor.view.shape == needed))
      return refuse(path_,
                    fmt::format("tensor '{}' is {}, the model needs {}", tensor.name, tensor.view.shape.to_string(),
                                needed.to_string()),
                    "give weights that were trained for this model");
    found_ = true;
    return {};
  }

  Status take_stack(const NamedTensor& tensor) {
    VORTEX_RETURN_IF_ERROR(check(tensor, stack()));
    const int64_t bytes = tensor.view.bytes() / shape_.layers;
    for (int64_t layer = 0; layer < shape_.layers; ++layer)
      out_[static_cast<size_t>(layer)] =
          to_bf16(tensor.view.dtype, tensor.view.data + layer * bytes, shape_.rows * shape_.cols);
    return {};
  }

  Status take_layer(const NamedTensor& tensor, int layer) {
    if (layer >= shape_.layers)
      return refuse(path_, fmt::format("tensor '{}' is of a layer the model does not have", tensor.name),
                    fmt::format("it has layers 0 to {}", shape_.layers - 1));
    VORTEX_RETURN_IF_ERROR(check(tensor, {shape_.rows, shape_.cols}));
    out_[static_cast<size_t>(layer)] = to_bf16(tensor.view.dtype, tensor.view.data, shape_.rows * shape_.cols);
    return {};
  }

  const std::string path_, name_;
  const LayerMatrixShape shape_;
  bool found_ = false;
  Matrices out_;
};

}  // namespace

Result<Matrices> read_layer_matrices(const std::string& path, const std::string& name, const LayerMatrixShape& shape) {
  VORTEX_ASSIGN_OR_RETURN(const auto file, MappedFile::open(path));
  VORTEX_ASSIGN_OR_RETURN(const std::vector<NamedTensor> tensors, parse_safetensors(file->bytes(), path));
  VORTEX_ASSIGN_OR_RETURN(const bool shared, is_shared_by_layers(file->bytes(), path));
  if (shared)
    return refuse(path, "its metadata says \"per_layer\": \"false\": one matrix for all layers",
                  "train one matrix for each layer");
  return MatrixReader(path, name, shape).read(tensors);
}

}  // namespace vortex

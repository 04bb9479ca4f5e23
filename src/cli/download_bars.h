// DownloadBars: a progress bar for each file that is fetched.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/progress.h"

namespace vortex::cli {

class DownloadBars {
 public:
  explicit DownloadBars(bool quiet) : quiet_(quiet) {}

  /// For ResolveOptions::progress; the bars must outlive it.
  std::function<void(const std::string& file, int64_t done, int64_t total)> callback();

 private:
  void update(const std::string& file, int64_t done, int64_t total);

  bool quiet_;
  std::string file_;
  std::unique_ptr<Progress> bar_;
};

}  // namespace vortex::cli

// flow new and flow build: a flow's file, from nothing to a shared object.
#include <fcntl.h>
#include <fmt/core.h>

#include <filesystem>

#include "base/files.h"
#include "cli/command.h"
#include "cli/flow_skeleton.h"
#include "engine/flow_setup.h"
#include "flow/source/build.h"
#include "loader/hub/named_config.h"

namespace vortex::cli {
namespace {
namespace fs = std::filesystem;

class FlowNewCommand final : public Command {
 public:
  std::string_view name() const override { return "flow new"; }
  std::string_view summary() const override { return "Write a flow that works, with a test, to start from"; }
  void add_options(CLI::App& app) override {
    app.add_option("name", name_, "The flow's name: NAME.cc and NAME_test.sh are written")->required();
    app.add_flag("--python", python_, "Write NAME.py instead of NAME.cc");
    app.add_option("--output,-o", folder_, "In this folder")->capture_default_str();
  }

  Status run(const Settings&) override {
    VORTEX_RETURN_IF_ERROR(check_flow_name(name_));
    std::error_code ignored;
    const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
    VORTEX_RETURN_IF_ERROR(make_folder(folder_));
    const FlowLanguage language = python_ ? FlowLanguage::kPython : FlowLanguage::kCpp;
    VORTEX_RETURN_IF_ERROR(write_new(flow_file_name(name_, language), flow_skeleton(name_, language)));
    VORTEX_RETURN_IF_ERROR(write_new(name_ + "_test.sh", flow_test_skeleton(name_, language, program.string())));
    fs::permissions(fs::path(folder_) / (name_ + "_test.sh"), fs::perms::owner_exec, fs::perm_options::add, ignored);
    return {};
  }

 private:
  /// Somebody's work is never overwritten.
  Status write_new(const std::string& file, const std::string& text) const {
    const fs::path path = fs::path(folder_) / file;
    auto fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL);
    if (!fd.ok()) {
      Error error = fd.error();
      error.hint = "take another name, or another folder with -o";
      return error;
    }
    VORTEX_RETURN_IF_ERROR(write_all(*fd, text, path));
    fmt::print("{}\n", path.string());
    return {};
  }

  std::string name_, folder_ = ".";
  bool python_ = false;
};

class FlowBuildCommand final : public Command {
 public:
  std::string_view name() const override { return "flow build"; }
  std::string_view summary() const override { return "Compile a flow's .cc to a .so, or record it as .json"; }
  void add_options(CLI::App& app) override {
    app.add_option("flow", flow_, "The flow's .cc file; for .json also a .py or .so, or a built-in name")->required();
    app.add_option("--output,-o", out_, "The .so or .json to write")->required();
    app.add_option("--name", name_, "Which flow of the file, for .json");
    app.add_option("--model,-m", model_, "Record for this model's shapes, for .json");
    app.add_option("--block-size", block_size_, "Tokens of a page, for .json")
        ->check(CLI::Range(4, 1024))
        ->capture_default_str();
  }

  Status run(const Settings&) override {
    const std::string suffix = fs::path(out_).extension();
    if (suffix == ".so") return build_library();
    if (suffix == ".json") return record_graph();
    return Error{ErrorCode::kUsage, "--output", fmt::format("'{}' is neither a .so nor a .json", out_), ""};
  }

 private:
  Status build_library() const {
    VORTEX_ASSIGN_OR_RETURN(const auto names, flow::build_flow_library(flow_, out_));
    for (const std::string& name : names) fmt::print("{}\n", name);
    return {};
  }

  Status record_graph() const {
    if (model_.empty())
      return Error{ErrorCode::kUsage, "flow build", "a graph is recorded for one model's shapes", "give --model"};
    VORTEX_ASSIGN_OR_RETURN(const ModelConfig model, read_model_config(model_));
    flow::FlowRequest request = flow::flow_request(flow_);
    if (!name_.empty()) request.module_name = name_;
    VORTEX_ASSIGN_OR_RETURN(const std::string name, flow::write_graph(request, flow_shape(model, block_size_), out_));
    fmt::print("{}\n", name);
    return {};
  }

  std::string flow_, out_, name_, model_;
  int block_size_ = 16;
};

}  // namespace

std::unique_ptr<Command> make_flow_new_command() { return std::make_unique<FlowNewCommand>(); }
std::unique_ptr<Command> make_flow_build_command() { return std::make_unique<FlowBuildCommand>(); }

}  // namespace vortex::cli

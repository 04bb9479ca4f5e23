// doctor and version: what this build is, and what this machine gives it.
#include <dlfcn.h>
#include <fmt/core.h>

#include "base/cpu_features.h"
#include "cli/command.h"
#include "cli/report.h"
#include "flows/registry.h"
#include "loader/hub/resolve.h"
#include "loader/model_config.h"
#include "toolchain/host_compiler.h"

namespace vortex::cli {
namespace {

/// Whether the NVIDIA driver can be opened; this build runs on the CPU either way.
std::string cuda_state() {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return "no driver (libcuda.so.1 is not found)";
  dlclose(driver);
  return "driver found; this build has no CUDA backend";
}

/// What flows from .cc files and budgets as code would be compiled by.
std::string compiler_state() {
  const auto compiler = toolchain::HostCompiler::find();
  return compiler.ok() ? compiler->program() : compiler.error().to_string();
}

class DoctorCommand final : public Command {
 public:
  std::string_view name() const override { return "doctor"; }
  std::string_view summary() const override { return "What this machine offers and what was found"; }
  void add_options(CLI::App& app) override { app.add_flag("--json", json_, "Print one JSON object"); }

  Status run(const Settings&) override {
    VORTEX_ASSIGN_OR_RETURN(const Isa isa, best_isa());
    VORTEX_ASSIGN_OR_RETURN(const auto models, list_local_models());
    Json flow_names = Json::array(), model_names = Json::array();
    for (const flows::FlowInfo& flow : flows::list_flows()) flow_names.push_back(flow.name);
    for (const LocalModel& model : models) model_names.push_back(model.name);
    const Json report = {
        {"version", VORTEX_VERSION}, {"cpu", cpu_features().brand},  {"features", feature_names(cpu_features())},
        {"kernels", isa_name(isa)},  {"threads", usable_threads()},  {"memory_bytes", memory_limit_bytes()},
        {"cuda", cuda_state()},      {"compiler", compiler_state()}, {"architectures", supported_architectures()},
        {"models", model_names},     {"flows", flow_names}};
    if (json_) {
      print_json(report);
      return {};
    }
    for (const auto& [key, value] : report.items()) fmt::print("{:<16}{}\n", key, line(value));
    return {};
  }

 private:
  static std::string line(const Json& value) {
    if (!value.is_array()) return value.is_string() ? value.get<std::string>() : value.dump();
    std::string out;
    for (const Json& item : value) out += (out.empty() ? "" : ", ") + item.get<std::string>();
    return out.empty() ? "none" : out;
  }

  bool json_ = false;
};

class VersionCommand final : public Command {
 public:
  std::string_view name() const override { return "version"; }
  std::string_view summary() const override { return "Print the version"; }
  void add_options(CLI::App&) override {}
  Status run(const Settings&) override {
    fmt::print("vortex {}\n", VORTEX_VERSION);
    return {};
  }
};

}  // namespace

std::unique_ptr<Command> make_doctor_command() { return std::make_unique<DoctorCommand>(); }
std::unique_ptr<Command> make_version_command() { return std::make_unique<VersionCommand>(); }

}  // namespace vortex::cli

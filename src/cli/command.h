// Command: one `vortex` sub-command. main.cc lists them; CLI11 parses, the settings table adds the engine's options.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/settings.h"

namespace vortex::cli {

class Command {
 public:
  virtual ~Command() = default;
  /// "run", or "bench latency" for a command in a group.
  virtual std::string_view name() const = 0;
  virtual std::string_view summary() const = 0;
  /// Which settings it takes (base/settings.h, Command); 0: none.
  virtual unsigned settings() const { return 0; }
  virtual void add_options(CLI::App& app) = 0;
  /// Data goes to stdout, everything else to stderr.
  virtual Status run(const Settings& settings) = 0;
};

/// Every command, in the order of --help.
std::vector<std::unique_ptr<Command>> make_commands();

std::unique_ptr<Command> make_run_command();
std::unique_ptr<Command> make_chat_command();
std::unique_ptr<Command> make_serve_command();
std::unique_ptr<Command> make_bench_attention_command();
std::unique_ptr<Command> make_bench_latency_command();
std::unique_ptr<Command> make_bench_throughput_command();
std::unique_ptr<Command> make_bench_compare_command();
std::unique_ptr<Command> make_eval_recall_command();
std::unique_ptr<Command> make_eval_ruler_command();
std::unique_ptr<Command> make_eval_fidelity_command();
std::unique_ptr<Command> make_flow_list_command();
std::unique_ptr<Command> make_flow_new_command();
std::unique_ptr<Command> make_flow_build_command();
std::unique_ptr<Command> make_flow_check_command();
std::unique_ptr<Command> make_flow_explain_command();
std::unique_ptr<Command> make_demo_command();
std::unique_ptr<Command> make_inspect_command();
std::unique_ptr<Command> make_pull_command();
std::unique_ptr<Command> make_list_command();
std::unique_ptr<Command> make_doctor_command();
std::unique_ptr<Command> make_version_command();
std::unique_ptr<Command> make_completion_command();
std::unique_ptr<Command> make_man_command();

}  // namespace vortex::cli

#include "cli/command.h"

namespace vortex::cli {

std::vector<std::unique_ptr<Command>> make_commands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(make_run_command());
  commands.push_back(make_chat_command());
  commands.push_back(make_serve_command());
  commands.push_back(make_bench_attention_command());
  commands.push_back(make_bench_latency_command());
  commands.push_back(make_bench_throughput_command());
  commands.push_back(make_bench_compare_command());
  commands.push_back(make_eval_recall_command());
  commands.push_back(make_eval_ruler_command());
  commands.push_back(make_eval_fidelity_command());
  commands.push_back(make_flow_list_command());
  commands.push_back(make_flow_new_command());
  commands.push_back(make_flow_build_command());
  commands.push_back(make_flow_check_command());
  commands.push_back(make_flow_explain_command());
  commands.push_back(make_pull_command());
  commands.push_back(make_list_command());
  commands.push_back(make_inspect_command());
  commands.push_back(make_doctor_command());
  commands.push_back(make_demo_command());
  commands.push_back(make_version_command());
  commands.push_back(make_completion_command());
  commands.push_back(make_man_command());
  return commands;
}

}  // namespace vortex::cli

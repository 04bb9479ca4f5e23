#include "toolchain/host_compiler.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/cpu_features.h"
#include "base/files.h"
#include "base/log.h"
#include "toolchain/compiler_errors.h"
#include "toolchain/program.h"

namespace vortex::toolchain {
namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxSourceBytes = 4 << 20;
constexpr std::chrono::seconds kTurnPatience{8};  // with a compiler's own time limit, less than 30 seconds in all

/// The files a make rule "target: file file \ ..." names. Inside a name a space is "\ ", # is "\#" and $ is "$$".
std::vector<fs::path> files_of_rule(const std::string& rule) {
  std::vector<fs::path> files;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty() && !word.ends_with(':')) files.emplace_back(word);
    word.clear();
  };
  for (size_t i = 0; i < rule.size(); ++i) {
    const char next = i + 1 < rule.size() ? rule[i + 1] : '\n';
    const bool escaped = (rule[i] == '\\' && (next == ' ' || next == '#')) || (rule[i] == '$' && next == '$');
    const bool joined = rule[i] == '\\' && next == '\n';
    if (escaped) {
      word += rule[++i];
    } else if (joined || rule[i] == ' ' || rule[i] == '\n') {
      end_word();
    } else {
      word += rule[i];
    }
  }
  end_word();
  return files;
}

/// A few: the first ones say what is wrong.
void log_warnings(const std::string& output) {
  constexpr int kMost = 10;
  int count = 0;
  for (const std::string& line : split(output, '\n'))
    if (line.find(": warning: ") != std::string::npos && ++count <= kMost) log_warn("{}", line);
}

}  // namespace

struct HostCompiler::Job {
  std::string name;      // the file as the user calls it: errors are looked for under it
  std::string absolute;  // empty for text; its includes are looked for beside it
  std::string text;      // all of it, for the key
  const std::vector<std::string>& flags;
};

Result<HostCompiler> HostCompiler::find() {
  HostCompiler compiler;
  const std::string wish = environment_variable("CXX");
  std::vector<std::string> names = {"c++", "g++", "clang++"};
  if (const auto words = split(wish, ' '); !words.empty()) {
    compiler.command_.assign(words.begin() + 1, words.end());
    names = {words[0]};
  }
  for (const std::string& name : names) {
    const auto program = find_program(name);
    if (!program) continue;
    compiler.command_.insert(compiler.command_.begin(), program->string());
    compiler.identity_ = program_identity(*program);
    return compiler;
  }
  if (!wish.empty())
    return Error{ErrorCode::kNotFound, "CXX", fmt::format("'{}' is no program", names[0]), "name a C++20 compiler"};
  return Error{ErrorCode::kNotFound, "", "this machine has no C++ compiler (c++, g++ or clang++)",
               "install one (Debian: apt-get install g++), or name it in CXX"};
}

Result<fs::path> HostCompiler::compile_file(const fs::path& file, const std::vector<std::string>& flags,
                                            const CodeCache& cache) const {
  VORTEX_ASSIGN_OR_RETURN(std::string text, read_small_file(file, kMaxSourceBytes));
  std::error_code failure;
  const fs::path absolute = fs::absolute(file, failure);
  if (failure) return file_error(file, "cannot find the folder of", failure.value());
  return build({file.string(), absolute.string(), std::move(text), flags}, cache);
}

Result<fs::path> HostCompiler::compile_text(const std::string& text, const std::string& name,
                                            const std::vector<std::string>& flags, const CodeCache& cache) const {
  return build({name, "", text, flags}, cache);
}

Result<fs::path> HostCompiler::build(const Job& job, const CodeCache& cache) const {
  std::string all = fmt::format("vortex {}\n{}\n{} {}\n", VORTEX_VERSION, identity_, cpu_features().brand,
                                feature_names(cpu_features()));
  for (const auto* words : {&command_, &job.flags})
    for (const std::string& word : *words) all += word + '\n';
  const std::string key = sha256_of(all + job.name + '\n' + job.absolute + '\n' + job.text);
  if (const auto found = cache.find(key)) return *found;
  const auto turn = cache.take_turn(key, kTurnPatience);
  if (const auto found = cache.find(key)) return *found;
  return run(job, key, cache);
}

Result<fs::path> HostCompiler::run(const Job& job, const std::string& key, const CodeCache& cache) const {
  VORTEX_ASSIGN_OR_RETURN(const ScratchFolder scratch, ScratchFolder::create(cache.folder()));
  const std::string library = scratch.path() / "out.so", rule = scratch.path() / "out.d";
  std::string source = job.name.starts_with('-') ? "./" + job.name : job.name;
  if (job.absolute.empty()) {
    source = scratch.path() / "text.cc";
    VORTEX_RETURN_IF_ERROR(write_file_atomically(source, job.text));
  }
  std::vector<std::string> argv = command_;
  argv.insert(argv.end(), {"-std=c++20", "-shared", "-fPIC", "-fvisibility=hidden", "-fdiagnostics-color=never", "-MMD",
                           "-MF", rule});
  argv.insert(argv.end(), job.flags.begin(), job.flags.end());
  argv.insert(argv.end(), {"-o", library, "-x", "c++", source});
  VORTEX_ASSIGN_OR_RETURN(const ProcessResult ran, run_process(argv, limits_));
  if (ran.timed_out)
    return Error{ErrorCode::kResourceExhausted, job.name,
                 fmt::format("{} did not end within {} s", command_[0], limits_.time.count() / 1000), ""};
  log_debug("{} ended with {}", command_[0], ran.status);
  for (const std::string& line : split(ran.output, '\n')) log_debug("{}", line);
  if (ran.status != 0) return first_compiler_error(ran.output, job.name);
  log_warnings(ran.output);
  std::vector<fs::path> inputs;
  if (!job.absolute.empty()) {
    VORTEX_ASSIGN_OR_RETURN(const std::string text, read_small_file(rule, kMaxSourceBytes));
    inputs = files_of_rule(text);
  }
  return cache.publish(key, library, inputs);
}

}  // namespace vortex::toolchain

// A plain mutational fuzzer for compilers without libFuzzer: fuzz_x SECONDS [SEED], or fuzz_x FILE to replay one input.
// The input being run is kept in fuzz_x.last, so a crash leaves its cause behind.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <unordered_set>

#include "fuzz/fuzz_target.h"
#include "fuzz/mutate.h"

namespace vortex::fuzz {
namespace {

constexpr size_t kMaxCorpus = 4096;

/// A file that always holds the current input: shared memory survives the process.
class LastInput {
 public:
  explicit LastInput(const std::string& path) : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600)) {
    if (fd_ < 0 || ::ftruncate(fd_, kMaxInputBytes + sizeof(uint64_t)) != 0) return;
    void* memory = ::mmap(nullptr, kMaxInputBytes + sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (memory != MAP_FAILED) memory_ = static_cast<char*>(memory);
  }
  void set(const std::string& input) {
    if (!memory_) return;
    const uint64_t size = input.size();
    std::memcpy(memory_, &size, sizeof(size));
    std::memcpy(memory_ + sizeof(size), input.data(), input.size());
  }

 private:
  int fd_;
  char* memory_ = nullptr;
};

/// The outcome without its numbers and quoted names: what tells two kinds of failure apart.
std::string kind_of(const std::string& outcome) {
  std::string kind;
  bool quoted = false;
  for (char c : outcome.substr(0, 160)) {
    if (c == '\'') quoted = !quoted;
    if (quoted) continue;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ' ') kind += c;
  }
  return kind;
}

std::string run(const std::string& input) {
  // A block of exactly its size: reading one byte beyond is seen.
  const std::vector<char> exact(input.begin(), input.end());
  return run_target(std::as_bytes(std::span(exact)));
}

int replay(const char* path) {
  std::ifstream in(path, std::ios::binary);
  const std::string input((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  uint64_t size = 0;
  if (input.size() < sizeof(size)) return 2;
  std::memcpy(&size, input.data(), sizeof(size));
  std::printf("%s\n", run(input.substr(sizeof(size), size)).c_str());
  return 0;
}

int fuzz(const std::string& name, double seconds, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::string> corpus = seeds();
  std::unordered_set<std::string> kinds;
  for (const std::string& input : corpus) kinds.insert(kind_of(run(input)));
  LastInput last(name + ".last");
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  uint64_t runs = 0;
  for (; elapsed() < seconds; ++runs) {
    const std::string input = mutate(corpus, random);
    last.set(input);
    if (kinds.insert(kind_of(run(input))).second && corpus.size() < kMaxCorpus) corpus.push_back(input);
  }
  std::printf("%llu inputs in %.1f s, %zu kinds of outcome, %zu kept, seed %llu\n",
              static_cast<unsigned long long>(runs), elapsed(), kinds.size(), corpus.size(),
              static_cast<unsigned long long>(seed));
  return 0;
}

}  // namespace
}  // namespace vortex::fuzz

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s SECONDS [SEED] | FILE.last\n", argv[0]);
    return 2;
  }
  if (std::string(argv[1]).ends_with(".last")) return vortex::fuzz::replay(argv[1]);
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  return vortex::fuzz::fuzz(argv[0], std::strtod(argv[1], nullptr), seed);
}

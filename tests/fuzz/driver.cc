// Runs a fuzz target where libFuzzer is not to be had (GCC): mutates a corpus for a while and keeps
// inputs that reach code nothing reached before.
//
//   <target> [--seconds N] [--seed N] SEED_FOLDER_OR_FILE...
//
// The input in progress lies in <target>.last, so that a crash leaves it behind; give that file as
// argument to repeat it.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

constexpr size_t kMostBytes = 4096;
constexpr size_t kPlaces = 1 << 16;

// How often each place in the code was passed in this execution, in powers of two, and what was
// ever seen.
uint8_t passed[kPlaces];
uint8_t seen[kPlaces];

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  Input Mutate(const std::vector<Input>& corpus) {
    Input input = Pick(corpus);
    for (uint64_t changes = 1 + Below(5); changes > 0; --changes) Change(input, corpus);
    if (input.size() > kMostBytes) input.resize(kMostBytes);
    return input;
  }

 private:
  uint64_t Below(uint64_t limit) { return random_() % limit; }
  const Input& Pick(const std::vector<Input>& corpus) { return corpus[Below(corpus.size())]; }

  void Change(Input& input, const std::vector<Input>& corpus) {
    if (input.empty()) input.push_back(0);
    const size_t at = Below(input.size());
    const size_t length = std::min<size_t>(1 + Below(16), input.size() - at);
    const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
    switch (Below(9)) {
      case 0:
        input[at] = static_cast<uint8_t>(random_());
        return;
      case 1:
        input[at] ^= static_cast<uint8_t>(1u << Below(8));
        return;
      case 2:
        input[at] = static_cast<uint8_t>(input[at] + Below(9) - 4);
        return;
      case 3:
        input.erase(place, place + static_cast<std::ptrdiff_t>(length));
        return;
      case 4: {  // again, elsewhere
        const Input piece(place, place + static_cast<std::ptrdiff_t>(length));
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(Below(input.size() + 1)),
                     piece.begin(), piece.end());
        return;
      }
      case 5: {  // numbers at the edges of things
        constexpr int64_t kEdges[] = {0,         1,          -1,        2,        64,
                                      127,       128,        255,       256,      INT32_MAX,
                                      INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN};
        const int64_t edge = kEdges[Below(std::size(kEdges))];
        std::memcpy(&input[at], &edge, std::min<size_t>(size_t{1} << Below(4), input.size() - at));
        return;
      }
      case 6: {  // the tail of another
        const Input& other = Pick(corpus);
        if (other.empty()) return;
        const size_t from = Below(other.size());
        input.resize(at);
        input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
        return;
      }
      case 7: {  // a piece of another over this one
        const Input& other = Pick(corpus);
        if (other.empty()) return;
        const size_t from = Below(other.size());
        std::memcpy(&input[at], &other[from], std::min(length, other.size() - from));
        return;
      }
      default: {  // words of the formats
        constexpr std::string_view kWords[] = {"{",
                                               "}",
                                               "[",
                                               "]",
                                               ",",
                                               ":",
                                               "\"",
                                               "\\u00e9",
                                               "\\ud83c\\udf38",
                                               "-1",
                                               "1e9",
                                               "\"\"",
                                               "dtype",
                                               "data_offsets",
                                               "shape",
                                               "BF16",
                                               "F64",
                                               "__metadata__",
                                               "0",
                                               "null",
                                               "9007199254740992"};
        const std::string_view word = kWords[Below(std::size(kWords))];
        input.insert(place, word.begin(), word.end());
        return;
      }
    }
  }

  std::mt19937_64 random_;
};

bool FoundNewPlaces() {
  bool found = false;
  for (size_t i = 0; i < kPlaces; ++i) {
    if (passed[i] == 0) continue;
    uint8_t bucket = 1;
    while (bucket < 128 && bucket <= passed[i] / 2) bucket = static_cast<uint8_t>(bucket * 2);
    found = found || (seen[i] & bucket) == 0;
    seen[i] |= bucket;
    passed[i] = 0;
  }
  return found;
}

// A file mapped into memory: written without a system call per execution, and there after a crash.
class LastInput {
 public:
  explicit LastInput(const std::string& path) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (file < 0 || ftruncate(file, kSize) != 0) return;
    void* memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED) bytes_ = static_cast<uint8_t*>(memory);
  }
  void Write(const Input& input) {
    if (bytes_ == nullptr) return;
    const uint64_t size = input.size();
    std::memcpy(bytes_, &size, sizeof size);
    if (size > 0) std::memcpy(bytes_ + sizeof size, input.data(), size);
  }

 private:
  static constexpr size_t kSize = 8 + kMostBytes;
  uint8_t* bytes_ = nullptr;
};

Input ReadInput(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  Input input{std::istreambuf_iterator<char>(file), {}};
  if (path.extension() == ".last" && input.size() >= 8) {
    uint64_t size;
    std::memcpy(&size, input.data(), sizeof size);
    input.erase(input.begin(), input.begin() + 8);
    input.resize(std::min<size_t>(size, input.size()));
  }
  return input;
}

}  // namespace

// What -fsanitize-coverage=trace-pc calls at every edge.
extern "C" void __sanitizer_cov_trace_pc() {
  const auto place = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  uint8_t& count = passed[(place ^ place >> 16) % kPlaces];
  if (count < 255) ++count;
}

int main(int count, char** arguments) {
  double seconds = 10;
  uint64_t seed = 1;
  std::vector<Input> corpus;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--seconds" && i + 1 < count) {
      seconds = std::atof(arguments[++i]);
    } else if (argument == "--seed" && i + 1 < count) {
      seed = std::strtoull(arguments[++i], nullptr, 10);
    } else if (std::filesystem::is_directory(argument)) {
      for (const auto& entry : std::filesystem::directory_iterator(argument))
        corpus.push_back(ReadInput(entry.path()));
    } else {
      corpus.push_back(ReadInput(argument));
    }
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "expected seeds, got none\n");
    return 2;
  }
  LastInput last(std::string(arguments[0]) + ".last");
  uint64_t executions = 0;
  const auto run = [&](const Input& input) {
    last.Write(input);
    const Input exact(
        input);  // a block without spare room, so that reading one byte further is seen
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
    ++executions;
    return FoundNewPlaces();
  };
  const size_t seeds = corpus.size();
  for (const Input& input : corpus) run(input);
  Mutator mutator(seed);
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  while (executions % 256 != 0 || elapsed() < seconds) {
    Input input = mutator.Mutate(corpus);
    if (run(input)) corpus.push_back(std::move(input));
  }
  size_t places = 0;
  for (const uint8_t place : seen) places += place != 0;
  std::printf(
      "%llu executions in %.0f s, %zu places reached, %zu seeds grown to %zu inputs, no finding\n",
      static_cast<unsigned long long>(executions), elapsed(), places, seeds, corpus.size());
  return 0;
}

// Fuzz target of recipes: evaluated over one small file; whatever comes out has as many values as
// its shape says, and is the same when it is read in parts.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "native/core/bytes.h"
#include "native/core/recipe.h"
#include "tests/fuzz/require.h"

namespace {

// 256 bytes of anything; an unlinked file lives as long as its descriptor.
std::shared_ptr<const irodori::SourceFile> AnyFile() {
  char path[] = "/tmp/irodori_fuzz_XXXXXX";
  const int descriptor = mkstemp(path);
  REQUIRE(descriptor >= 0);
  std::FILE* file = fdopen(descriptor, "wb");
  for (int i = 0; i < 256; ++i) std::fputc(i, file);
  std::fclose(file);
  irodori::Result<std::shared_ptr<const irodori::SourceFile>> source =
      irodori::SourceFile::Open(path);
  std::remove(path);
  REQUIRE(source.ok());
  return source.value();
}

// Parts of the recipe, read on their own, are parts of the whole.
void ReadAgain(std::span<const std::byte> bytes,
               std::span<const std::shared_ptr<const irodori::SourceFile>> sources,
               std::span<const float> whole) {
  irodori::Result<std::unique_ptr<irodori::Recipe>> recipe = irodori::Recipe::Parse(bytes, sources);
  REQUIRE(recipe.ok() && recipe.value()->Prepare(nullptr).ok());
  irodori::Scratch scratch;
  const size_t step = whole.size() / 3 + 1;
  for (size_t first = 0; first < whole.size(); first += step) {
    std::vector<float> part(std::min(step, whole.size() - first));
    const auto begin = static_cast<int64_t>(first);
    REQUIRE(recipe.value()->Read(begin, part, scratch, nullptr).ok());
    REQUIRE(std::memcmp(part.data(), whole.data() + first, part.size() * sizeof(float)) == 0);
  }
  recipe.value()->Finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const irodori::SourceFile> sources[] = {AnyFile()};
  const auto recipe = std::as_bytes(std::span(data, size));
  const irodori::Result<irodori::HostTensor> result = irodori::EvaluateRecipe(recipe, sources);
  if (result.ok()) {
    const std::vector<float>& whole = result.value().data;
    REQUIRE(static_cast<int64_t>(whole.size()) == irodori::Elements(result.value().shape));
    ReadAgain(recipe, sources, whole);
  } else {
    REQUIRE(!result.status().message().empty() && irodori::IsUtf8(result.status().message()));
  }
  return 0;
}

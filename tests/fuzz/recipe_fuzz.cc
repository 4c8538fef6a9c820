// Fuzz target of recipes: evaluated over one small file; whatever comes out has as many values as
// its shape says.
#include <cstdio>
#include <cstdlib>
#include <string>

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const irodori::SourceFile> sources[] = {AnyFile()};
  const auto recipe = std::as_bytes(std::span(data, size));
  const irodori::Result<irodori::HostTensor> result = irodori::EvaluateRecipe(recipe, sources);
  if (result.ok()) {
    REQUIRE(static_cast<int64_t>(result.value().data.size()) ==
            irodori::Elements(result.value().shape));
  } else {
    REQUIRE(!result.status().message().empty() && irodori::IsUtf8(result.status().message()));
  }
  return 0;
}

// Runs the native unit tests; an argument picks those whose names contain it.
#include <cstdio>
#include <exception>
#include <string_view>

#include "tests/native/check.h"

int main(int count, char** arguments) {
  using irodori::test::Failures;
  const std::string_view wanted = count > 1 ? arguments[1] : "";
  int ran = 0;
  int failed = 0;
  for (const irodori::test::Test& test : irodori::test::Tests()) {
    if (test.name.find(wanted) == std::string::npos) continue;
    const int before = Failures();
    try {
      test.body();
    } catch (const std::exception& error) {
      irodori::test::Fail(__FILE__, __LINE__, error.what());
    }
    ++ran;
    if (Failures() == before) continue;
    ++failed;
    std::printf("FAILED %s\n", test.name.c_str());
  }
  std::printf("%d native tests, %d failed\n", ran, failed);
  return failed == 0 && ran > 0 ? 0 : 1;
}

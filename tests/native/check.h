// Checks of the native unit tests: a failure prints where, want and got, and the run goes on.
#pragma once

#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "native/core/message.h"
#include "native/core/status.h"

namespace irodori::test {

struct Test {
  std::string name;
  std::function<void()> body;
};

inline std::vector<Test>& Tests() {
  static std::vector<Test> tests;
  return tests;
}
inline int& Failures() {
  static int failures = 0;
  return failures;
}

struct Register {
  Register(std::string name, std::function<void()> body) {
    Tests().push_back({std::move(name), std::move(body)});
  }
};

inline void Fail(const char* file, int line, const std::string& message) {
  ++Failures();
  std::printf("%s:%d: %s\n", file, line, message.c_str());
}

inline void CheckStatus(const char* file, int line, const Status& got, Code code,
                        std::string_view part) {
  const bool right = got.code() == code && got.message().find(part) != std::string::npos;
  if (right) return;
  Fail(file, line,
       Message("want ", CodeText(code), " with \"", part, "\", got ", CodeText(got.code()), ": ",
               got.message()));
}

// Index, want, got, the largest differences and how many, as one line.
inline void CheckNear(const char* file, int line, const std::vector<float>& got,
                      const std::vector<double>& want, double tolerance) {
  if (got.size() != want.size())
    return Fail(file, line, Message("want ", want.size(), " values, got ", got.size()));
  size_t first = got.size();
  size_t wrong = 0;
  double largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double difference = std::fabs(got[i] - want[i]);
    if (difference <= tolerance) continue;  // NaN is wrong too
    if (wrong++ == 0) first = i;
    largest = std::max(largest, difference);
  }
  if (wrong == 0) return;
  Fail(file, line,
       Message("at ", first, ": want ", want[first], ", got ", static_cast<double>(got[first]),
               "; largest difference ", largest, ", ", wrong, " of ", got.size(), " wrong"));
}

}  // namespace irodori::test

#define TEST(name)                                                           \
  static void Test##name();                                                  \
  static const ::irodori::test::Register register_##name(#name, Test##name); \
  static void Test##name()
#define CHECK(condition) \
  ((condition) ? (void)0 : ::irodori::test::Fail(__FILE__, __LINE__, "want " #condition))
#define CHECK_STATUS(status, code, part) \
  ::irodori::test::CheckStatus(__FILE__, __LINE__, status, code, part)
#define CHECK_OK(status) CHECK_STATUS(status, ::irodori::Code::kOk, "")
#define CHECK_NEAR(got, want, tolerance) \
  ::irodori::test::CheckNear(__FILE__, __LINE__, got, want, tolerance)

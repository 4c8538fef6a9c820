// The vector functions of every family, through elementwise steps, against float64 in units in the
// last place.
#include <bit>
#include <cmath>
#include <functional>

#include "tests/native/check.h"
#include "tests/native/cpu_case.h"
#include "tests/native/program_writer.h"

namespace irodori::test {
namespace {

// Every 2^13-th float of both signs up to 128, subnormals and zeros among them.
std::vector<float> Arguments() {
  std::vector<float> arguments;
  for (uint32_t bits = 0; bits <= std::bit_cast<uint32_t>(128.0f); bits += 1u << 13) {
    arguments.push_back(std::bit_cast<float>(bits + 1234));
    arguments.push_back(-arguments.back());
  }
  arguments.push_back(0.0f);
  return arguments;
}

// What the one output of a Program, as long as `count` values, is for those inputs on one thread.
std::vector<float> RunOn(const std::string& family, const Program& written,
                         std::vector<std::vector<float>> inputs, size_t count) {
  Result<std::unique_ptr<Device>> device = OpenCpuDevice({family, 1});
  CHECK_OK(device.status());
  Result<Program> program = DecodeProgram(Encode(written));
  CHECK_OK(program.status());
  const auto executable =
      std::move(
          device.value()->Bind(std::make_shared<const Program>(std::move(program).value()), {}))
          .value();
  const auto lane = std::move(device.value()->OpenLane()).value();
  const auto bind = [](std::vector<float>& memory) {
    return RowBinding{reinterpret_cast<std::byte*>(memory.data()), nullptr, 0,
                      static_cast<int64_t>(memory.size() * 4)};
  };
  std::vector<RowBinding> bound;
  for (std::vector<float>& input : inputs) bound.push_back(bind(input));
  std::vector<float> y(count, NAN);
  const RowBinding output = bind(y);
  CHECK_OK(device.value()->Run(*lane, *executable, {1, bound, {&output, 1}, nullptr}));
  return y;
}

std::vector<float> Apply(const std::string& family, Epilogue op, std::vector<float> x) {
  ProgramWriter w;
  const auto count = static_cast<int64_t>(x.size());
  const auto in = static_cast<int32_t>(w.Input("x", DType::kF32, {count}));
  w.AddStep(Kernel::kElementwise, {in}, w.Output("y", DType::kF32, {count}), {}, {{op, -1, 0}});
  return RunOn(family, w.program, {std::move(x)}, static_cast<size_t>(count));
}

// Largest error in units of the last place of the exact value (at least of 2^-100: exp(-x)
// overflows before silu's true value vanishes), or, where `absolute` is given, in multiples of that
// times max(1, |x|).
void CheckFunction(Epilogue op, const char* name, const std::function<double(double)>& exact,
                   double limit, double absolute = 0) {
  for (const std::string& family : RunningFamilies()) {
    const std::vector<float> x = Arguments();
    const std::vector<float> y = Apply(family, op, x);
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = exact(static_cast<double>(x[i]));
      const auto rounded = static_cast<float>(want);
      if (std::isinf(rounded) && y[i] == rounded) continue;
      const double magnitude = std::max(std::fabs(want), 0x1p-100);
      const double unit = absolute > 0
                              ? absolute * std::max(1.0, std::fabs(static_cast<double>(x[i])))
                              : std::exp2(std::floor(std::log2(magnitude)) - 23);
      const double difference = std::fabs(static_cast<double>(y[i]) - want) / unit;
      const double error = std::isnan(difference) ? INFINITY : difference;
      if (error <= worst) continue;
      worst = error;
      at = i;
    }
    std::printf("%s %s: largest error %.2f %s at %g\n", family.c_str(), name, worst,
                absolute > 0 ? "x 1e-7" : "ulp", static_cast<double>(x[at]));
    if (!(worst <= limit)) {
      Fail(__FILE__, __LINE__,
           Message(family, " ", name, " at ", static_cast<double>(x[at]), ": error ", worst,
                   ", limit ", limit));
    }
  }
}

TEST(CpuMathFunctions) {
  CheckFunction(
      Epilogue::kExp, "exp", [](double x) { return std::exp(x); }, 3);
  CheckFunction(
      Epilogue::kTanh, "tanh", [](double x) { return std::tanh(x); }, 3.5);
  CheckFunction(
      Epilogue::kSigmoid, "sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, 4);
  CheckFunction(
      Epilogue::kSilu, "silu", [](double x) { return x / (1 + std::exp(-x)); }, 4.5);
  // In the negative tail erf near -1 cancels, as in every float32 implementation, and a rounding of
  // u is e^(-2u)'s error times u: absolute errors there.
  CheckFunction(
      Epilogue::kGelu, "gelu", [](double x) { return x / 2 * std::erfc(-x / std::sqrt(2.0)); }, 3,
      1e-7);
  CheckFunction(
      Epilogue::kGeluTanh, "gelu_tanh",
      [](double x) {
        return x / 2 * (1 + std::tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
      },
      3, 1e-7);
}

// Attention of one query of 1 over the keys 0 and -x with values 0 and 1, one head for every x:
// e^-x / (1 + e^-x), through Exp2.
std::vector<float> SoftmaxOfTwo(const std::string& family, const std::vector<float>& x) {
  ProgramWriter w;
  const auto heads = static_cast<int64_t>(x.size());
  const auto q = static_cast<int32_t>(w.Input("q", DType::kF32, {1, heads}));
  const auto k = static_cast<int32_t>(w.Input("k", DType::kF32, {2, heads}));
  const auto v = static_cast<int32_t>(w.Input("v", DType::kF32, {2, heads}));
  w.AddStep(Kernel::kAttention, {q, k, v, -1}, w.Output("y", DType::kF32, {1, heads}),
            {static_cast<double>(heads), 0, 1, 64});
  std::vector<float> ones(x.size(), 1.0f), keys(2 * x.size()), values(2 * x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    keys[x.size() + i] = -x[i];
    values[x.size() + i] = 1.0f;
  }
  return RunOn(family, w.program, {ones, keys, values}, x.size());
}

// Exp2 itself 2 ulp, the score x log2(e) half a ulp of its own, and three roundings behind.
TEST(CpuMathExp2) {
  std::vector<float> x;
  for (float value = 0; value < 87; value += 0.0437f) x.push_back(value);
  for (const std::string& family : RunningFamilies()) {
    const std::vector<float> y = SoftmaxOfTwo(family, x);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double p = std::exp(-static_cast<double>(x[i]));
      const double want = p / (1 + p);
      const double ulp = std::exp2(std::floor(std::log2(want)) - 23);
      const double error = std::fabs(static_cast<double>(y[i]) - want) / ulp;
      const double limit = 4 + static_cast<double>(x[i]);
      if (!(error <= limit)) {
        Fail(__FILE__, __LINE__,
             Message(family, " softmax of two at ", static_cast<double>(x[i]), ": error ", error,
                     " ulp, limit ", limit));
      }
      worst = std::max(worst, error / limit);
    }
    std::printf("%s exp2: largest error %.2f of its limit\n", family.c_str(), worst);
    const std::vector<float> edges =
        SoftmaxOfTwo(family, {0.0f, -0.0f, 88.0f, 1e30f, INFINITY, NAN, -1e30f});
    CHECK(edges[0] == 0.5f && edges[1] == 0.5f);
    CHECK(edges[2] == 0 && edges[3] == 0 && edges[4] == 0);
    CHECK(std::isnan(edges[5]));
    CHECK(edges[6] == 1);
  }
}

TEST(CpuMathKeepsNan) {
  for (const std::string& family : RunningFamilies()) {
    for (int op = static_cast<int>(Epilogue::kSilu); op <= static_cast<int>(Epilogue::kExp); ++op) {
      const std::vector<float> y =
          Apply(family, static_cast<Epilogue>(op), {NAN, 1.0f, -NAN, -1.0f});
      if (!std::isnan(y[0]) || !std::isnan(y[2]) || std::isnan(y[1]) || std::isnan(y[3])) {
        Fail(__FILE__, __LINE__, Message(family, " epilogue ", op, " loses or makes a NaN"));
      }
    }
  }
}

}  // namespace
}  // namespace irodori::test

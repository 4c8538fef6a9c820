// Each kernel of the reference device against numbers made by hand or by the definition.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "native/core/backend.h"
#include "native/core/float_types.h"
#include "native/core/host_memory.h"
#include "tests/native/check.h"
#include "tests/native/program_writer.h"

namespace irodori::test {
namespace {

constexpr auto kF32 = DType::kF32;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

using Doubles = std::vector<double>;
using Floats = std::vector<float>;

// A device, and a Program to run on it with float32 ports and row-major float32 values.
class Session {
 public:
  ProgramWriter writer;

  uint32_t Input(const Shape& shape, Floats rows) { return Input(kF32, shape, ToBytes(rows)); }
  template <typename T>
  uint32_t Ids(DType dtype, const Shape& shape, const std::vector<T>& rows) {
    return Input(dtype, shape, ToBytes(rows));
  }
  uint32_t Param(Packing packing, DType dtype, const Shape& shape, Floats values) {
    params_.push_back({shape, std::move(values)});
    return writer.Param(packing, dtype, shape);
  }
  uint32_t Output(const Shape& shape) {
    return writer.Output(Message("y", writer.program.outputs.size()), kF32, shape);
  }

  Status Run(int64_t rows = 1, const std::atomic<bool>* abort = nullptr) {
    Result<Program> program = DecodeProgram(Encode(writer.program));
    if (!program.ok()) return program.status();
    Result<std::unique_ptr<Device>> device = OpenReferenceDevice();
    std::vector<std::shared_ptr<Pack>> packs;
    for (size_t i = 0; i < params_.size(); ++i) {
      Result<std::shared_ptr<Pack>> pack =
          device.value()->MakePack(program.value().params[i], params_[i]);
      if (!pack.ok()) return pack.status();
      packs.push_back(pack.value());
    }
    auto shared = std::make_shared<const Program>(std::move(program).value());
    Result<std::unique_ptr<Executable>> executable = device.value()->Bind(shared, packs);
    if (!executable.ok()) return executable.status();
    Result<std::unique_ptr<Lane>> lane = device.value()->OpenLane();
    std::vector<RowBinding> inputs;
    for (size_t port = 0; port < inputs_.size(); ++port) {
      const int64_t size = shared->buffers[shared->inputs[port].buffer].row_bytes();
      for (int64_t row = 0; row < rows; ++row)
        inputs.push_back({inputs_[port].data() + row * size, nullptr, 0, size});
    }
    outputs.clear();
    for (const Port& port : shared->outputs) {
      outputs.emplace_back(static_cast<size_t>(rows * Elements(shared->buffers[port.buffer].shape)),
                           kNaN);
    }
    std::vector<RowBinding> results;
    for (size_t port = 0; port < outputs.size(); ++port) {
      const int64_t size = shared->buffers[shared->outputs[port].buffer].row_bytes();
      for (int64_t row = 0; row < rows; ++row) {
        results.push_back(
            {reinterpret_cast<std::byte*>(outputs[port].data()) + row * size, nullptr, 0, size});
      }
    }
    return device.value()->Run(*lane.value(), *executable.value(), {rows, inputs, results, abort});
  }

  std::vector<Floats> outputs;  // per port, rows behind one another

 private:
  template <typename T>
  static std::vector<std::byte> ToBytes(const std::vector<T>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
  }
  uint32_t Input(DType dtype, const Shape& shape, std::vector<std::byte> rows) {
    inputs_.push_back(std::move(rows));
    return writer.Input(Message("x", inputs_.size()), dtype, shape);
  }

  std::vector<std::vector<std::byte>> inputs_;
  std::vector<HostTensor> params_;
};

int32_t I(uint32_t buffer) { return static_cast<int32_t>(buffer); }

Floats Counting(size_t count, float first = 0) {
  Floats values(count);
  for (size_t i = 0; i < count; ++i) values[i] = first + static_cast<float>(i);
  return values;
}

// One step from float32 inputs to one float32 output.
Floats OneStep(Kernel kernel, const std::vector<std::pair<Shape, Floats>>& inputs,
               const Shape& output, std::vector<double> attrs,
               std::vector<EpilogueOp> epilogue = {}) {
  Session session;
  std::vector<int32_t> operands;
  for (const auto& [shape, values] : inputs) operands.push_back(I(session.Input(shape, values)));
  session.writer.AddStep(kernel, operands, session.Output(output), std::move(attrs),
                         std::move(epilogue));
  CHECK_OK(session.Run());
  return session.outputs.empty() ? Floats{} : session.outputs[0];
}

TEST(ReferenceMatmul) {
  Session session;
  const uint32_t x = session.Input({2, 3}, {1, 2, 3, 4, 5, 6});
  const uint32_t weight = session.Param(Packing::kGemm, kF32, {2, 3}, {1, 0, -1, 2, 2, 2});
  const uint32_t bias = session.Input({2}, {10, 20});
  session.writer.AddStep(Kernel::kMatmul, {I(x), I(weight), I(bias)}, session.Output({2, 2}),
                         {1, 64, 0, 0});
  CHECK_OK(session.Run());
  CHECK_NEAR(session.outputs[0], (Doubles{8, 32, 8, 50}), 0);
}

TEST(ReferenceInt8) {
  // Weights of both outputs are multiples of their scale, 4 / 127 and 1 / 127; so is x, in steps of
  // 1 over [-127, 127] in the first vector and of 2 over [0, 508] in the second, but for one value
  // that is rounded.
  const Floats weights = {4, 0, -4, 1, 1, -1};
  Session session;
  const uint32_t x = session.Input({2, 3}, {127, 3, -127, 508, 4, 1.5f});
  const uint32_t weight = session.Param(Packing::kGemm, DType::kI8, {2, 3}, weights);
  session.writer.AddStep(Kernel::kMatmul, {I(x), I(weight)}, session.Output({2, 2}),
                         {1, 64, 0, 32});
  CHECK_OK(session.Run());
  CHECK_NEAR(session.outputs[0], (Doubles{1016, 257, 2024, 510}), 1e-3);
  // Of a picture one range for all of it: [-100, 154] in steps of 1.
  Session picture;
  const uint32_t pixels = picture.Input({1, 2, 4}, {154, 3, -100, 0, 0.4f, 4, 1.5f, 1});
  const uint32_t taps = picture.Param(Packing::kGemm, DType::kI8, {1, 1, 1, 4}, {1, 1, 1, 1});
  picture.writer.AddStep(Kernel::kConv2d, {I(pixels), I(taps)}, picture.Output({1, 2, 1}),
                         {1, 1, 1, 1, 0, 0, 0, 0, 1, 64, 1, 0, 32});
  CHECK_OK(picture.Run());
  CHECK_NEAR(picture.outputs[0], (Doubles{57, 7}), 1e-4);
  // Sums of 16 bits: x in steps of 2 over [0, 360]; weights of the first output have just room,
  // 182, those of the second are 127 steps.
  Session narrow;
  const uint32_t row = narrow.Input({1, 8}, {360, 3, 0, 0, 0, 0, 0, 0.5f});
  const uint32_t pairs = narrow.Param(Packing::kGemm, DType::kI8Sums16, {2, 8},
                                      {127, 55, 0, 0, 0, 0, 0, 0, 1, -1, 0, 0, 0, 0, 1, -1});
  narrow.writer.AddStep(Kernel::kMatmul, {I(row), I(pairs)}, narrow.Output({1, 2}), {1, 64, 0, 16});
  CHECK_OK(narrow.Run());
  CHECK_NEAR(narrow.outputs[0], (Doubles{45940, 356}), 1e-2);
}

TEST(ReferenceConv2d) {
  // 3×3 ones over a counting 3×4 picture, stride 2 in h, padding top and left only.
  Session session;
  const uint32_t x = session.Input({3, 4, 1}, Counting(12));
  const uint32_t weight = session.Param(Packing::kGemm, kF32, {1, 3, 3, 1}, Floats(9, 1));
  session.writer.AddStep(Kernel::kConv2d, {I(x), I(weight)}, session.Output({1, 3, 1}),
                         {3, 3, 2, 1, 1, 1, 0, 0, 1, 64, 1, 0, 0});
  CHECK_OK(session.Run());
  CHECK_NEAR(session.outputs[0],
             (Doubles{0 + 1 + 4 + 5, 0 + 1 + 2 + 4 + 5 + 6, 1 + 2 + 3 + 5 + 6 + 7}), 0);
  // Two channels in, two out, 1×2 kernel [O, kh, kw, C], bias.
  Session channels;
  const uint32_t picture = channels.Input({1, 3, 2}, {1, 2, 3, 4, 5, 6});
  const uint32_t taps =
      channels.Param(Packing::kGemm, kF32, {2, 4}, {1, 10, 100, 1000, 0, 0, 0, -1});
  const uint32_t bias = channels.Input({2}, {0.5, 0});
  channels.writer.AddStep(Kernel::kConv2d, {I(picture), I(taps), I(bias)},
                          channels.Output({1, 2, 2}), {1, 2, 1, 1, 0, 0, 0, 0, 1, 64, 1, 0, 0});
  CHECK_OK(channels.Run());
  CHECK_NEAR(channels.outputs[0],
             (Doubles{1 + 20 + 300 + 4000 + 0.5, -4, 3 + 40 + 500 + 6000 + 0.5, -6}), 0);
}

TEST(ReferenceAttention) {
  // Two heads of one element. Head 0 has equal scores, head 1 prefers by exp(ln 3) the second key.
  const double ln3 = std::log(3.0);
  const std::pair<Shape, Floats> q = {{1, 2}, {0, 1}};
  const std::pair<Shape, Floats> k = {{2, 2}, {5, 0, 6, static_cast<float>(ln3)}};
  const std::pair<Shape, Floats> v = {{2, 2}, {1, 10, 3, 20}};
  CHECK_NEAR(OneStep(Kernel::kAttention, {q, k, v}, {1, 2}, {2, 0, 1, 64}), (Doubles{2, 17.5}),
             1e-5);
  // Causal: the first query sees the first key alone.
  const std::pair<Shape, Floats> ones = {{2, 1}, {1, 1}};
  CHECK_NEAR(OneStep(Kernel::kAttention, {ones, ones, {{2, 1}, {4, 8}}}, {2, 1}, {1, 1, 0.5, 64}),
             (Doubles{4, 6}), 0);
  // Far scores do not overflow.
  CHECK_NEAR(OneStep(Kernel::kAttention, {ones, {{2, 1}, {1000, -1000}}, {{2, 1}, {4, 8}}}, {2, 1},
                     {1, 0, 1, 64}),
             (Doubles{4, 4}), 0);
}

Session LengthSession(DType dtype, const std::vector<int64_t>& lengths) {
  Session session;
  Floats x;
  for (size_t i = 0; i < lengths.size(); ++i) x.insert(x.end(), {1, 2, 4});
  const uint32_t kv = session.Input({3, 1}, x);
  const uint32_t length =
      dtype == DType::kI64
          ? session.Ids(dtype, {1}, lengths)
          : session.Ids(dtype, {1}, std::vector<int32_t>(lengths.begin(), lengths.end()));
  const uint32_t zero = session.Param(Packing::kPlain, kF32, {1, 1}, {0});
  session.writer.AddStep(Kernel::kAttention, {I(zero), I(kv), I(kv), I(length)},
                         session.Output({1, 1}), {1, 0, 1, 64});
  return session;
}

TEST(ReferenceAttentionLength) {
  for (const DType dtype : {DType::kI32, DType::kI64}) {
    Session rows = LengthSession(dtype, {3, 2, 1, 0});
    CHECK_OK(rows.Run(4));
    CHECK_NEAR(rows.outputs[0], (Doubles{7.0 / 3, 1.5, 1, 0}), 1e-6);
    CHECK_STATUS(LengthSession(dtype, {4}).Run(), Code::kInvalidArgument,
                 "kvLength from 0 to 3, got 4");
    CHECK_STATUS(LengthSession(dtype, {-1}).Run(), Code::kInvalidArgument, "got -1");
  }
}

TEST(ReferenceNorms) {
  const double s = std::sqrt(2.0 / 3 + 0.5);
  CHECK_NEAR(OneStep(Kernel::kLayerNorm, {{{1, 3}, {1, 2, 3}}}, {1, 3}, {0.5}),
             (Doubles{-1 / s, 0, 1 / s}), 1e-6);
  CHECK_NEAR(OneStep(Kernel::kLayerNorm,
                     {{{1, 3}, {1, 2, 3}}, {{3}, {1, 2, 3}}, {{3}, {10, 20, 30}}}, {1, 3}, {0.5}),
             (Doubles{10 - 1 / s, 20, 30 + 3 / s}), 1e-5);
  const double rms = std::sqrt(14.0 / 3 + 1);
  CHECK_NEAR(
      OneStep(Kernel::kRmsNorm, {{{2, 3}, {1, 2, 3, -1, -2, -3}}, {{3}, {1, 2, 1}}}, {2, 3}, {1}),
      (Doubles{1 / rms, 4 / rms, 3 / rms, -1 / rms, -4 / rms, -3 / rms}), 1e-6);
  // Groups {0, 1} and {2, 3} of two pixels: values 1, 3, 1, 3 and 5, 5, 5, 5.
  CHECK_NEAR(
      OneStep(Kernel::kGroupNorm,
              {{{2, 1, 4}, {1, 3, 5, 5, 1, 3, 5, 5}}, {{4}, {1, 2, 3, 4}}, {{4}, {0, 0, 7, 8}}},
              {2, 1, 4}, {2, 1e-12, 8}),
      (Doubles{-1, 2, 7, 8, -1, 2, 7, 8}), 1e-5);
  const double sum = 1 + std::exp(1.0) + std::exp(3.0);
  CHECK_NEAR(OneStep(Kernel::kSoftmax, {{{2, 3}, {0, 1, 3, 1000, 1001, 1003}}}, {2, 3}, {}),
             (Doubles{1 / sum, std::exp(1.0) / sum, std::exp(3.0) / sum, 1 / sum,
                      std::exp(1.0) / sum, std::exp(3.0) / sum}),
             1e-6);
}

TEST(ReferenceEmbedding) {
  const auto run = [](const auto& ids, DType dtype, Floats& out) {
    Session session;
    const uint32_t i = session.Ids(dtype, {3}, ids);
    const uint32_t table = session.Param(Packing::kPlain, kF32, {3, 2}, Counting(6));
    session.writer.AddStep(Kernel::kEmbedding, {I(i), I(table)}, session.Output({3, 2}));
    const Status status = session.Run();
    out = session.outputs[0];
    return status;
  };
  Floats out;
  CHECK_OK(run(std::vector<int32_t>{2, 0, 2}, DType::kI32, out));
  CHECK_NEAR(out, (Doubles{4, 5, 0, 1, 4, 5}), 0);
  CHECK_OK(run(std::vector<int64_t>{1, 1, 0}, DType::kI64, out));
  CHECK_NEAR(out, (Doubles{2, 3, 2, 3, 0, 1}), 0);
  CHECK_STATUS(run(std::vector<int32_t>{0, 3, 0}, DType::kI32, out), Code::kInvalidArgument,
               "ids from 0 to 2, got 3 at 1");
  CHECK_STATUS(run(std::vector<int64_t>{0, 0, INT64_MIN}, DType::kI64, out), Code::kInvalidArgument,
               "at 2");
}

TEST(ReferenceStridedCopy) {
  const std::pair<Shape, Floats> x = {{2, 3}, Counting(6)};
  CHECK_NEAR(OneStep(Kernel::kStridedCopy, {x}, {3, 2}, {0, 2, 3, 2, 1, 3}),
             (Doubles{0, 3, 1, 4, 2, 5}), 0);
  CHECK_NEAR(OneStep(Kernel::kStridedCopy, {x}, {6}, {5, 1, 6, -1}), (Doubles{5, 4, 3, 2, 1, 0}),
             0);
  CHECK_NEAR(OneStep(Kernel::kStridedCopy, {x}, {2, 2}, {1, 2, 2, 2, 0, 3}), (Doubles{1, 4, 1, 4}),
             0);
  CHECK_NEAR(OneStep(Kernel::kStridedCopy, {x}, {}, {4, 0}), (Doubles{4}), 0);
}

TEST(ReferenceResize) {
  const std::pair<Shape, Floats> x = {{2, 2, 1}, {0, 4, 8, 12}};
  CHECK_NEAR(OneStep(Kernel::kResizeNearest, {x}, {3, 4, 1}, {}),
             (Doubles{0, 0, 4, 4, 0, 0, 4, 4, 8, 8, 12, 12}), 0);
  CHECK_NEAR(OneStep(Kernel::kResizeBilinear, {x}, {3, 3, 1}, {1}),
             (Doubles{0, 2, 4, 4, 6, 8, 8, 10, 12}), 0);
  CHECK_NEAR(OneStep(Kernel::kResizeBilinear, {x}, {2, 4, 1}, {0}),
             (Doubles{0, 1, 3, 4, 8, 9, 11, 12}), 0);
  CHECK_NEAR(OneStep(Kernel::kResizeBilinear, {x}, {1, 1, 1}, {1}), (Doubles{0}), 0);
  CHECK_NEAR(OneStep(Kernel::kResizeBilinear, {x}, {1, 1, 1}, {0}), (Doubles{6}), 0);
}

TEST(ReferenceTimestepEmbedding) {
  const std::pair<Shape, Floats> t = {{1}, {2}};
  CHECK_NEAR(OneStep(Kernel::kTimestepEmbedding, {t}, {4}, {0, 0, 1, 100}),
             (Doubles{std::sin(2.0), std::sin(0.2), std::cos(2.0), std::cos(0.2)}), 1e-7);
  CHECK_NEAR(OneStep(Kernel::kTimestepEmbedding, {t}, {5}, {1, 1, 3, 100}),
             (Doubles{std::cos(6.0), std::cos(0.06), std::sin(6.0), std::sin(0.06), 0}), 1e-7);
}

TEST(ReferenceEpilogues) {
  const Floats x = {-2, -0.5, 0, 3};
  const Floats b = {0.5, 2, -3, 4};
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  struct Case {
    Epilogue op;
    double value;
    std::function<double(double, double)> want;  // of v and the operand's element
  };
  const std::vector<Case> cases = {
      {Epilogue::kAdd, 0, [](double v, double o) { return v + o; }},
      {Epilogue::kSub, 0, [](double v, double o) { return v - o; }},
      {Epilogue::kMul, 0, [](double v, double o) { return v * o; }},
      {Epilogue::kMulOnePlus, 0, [](double v, double o) { return v + v * o; }},
      {Epilogue::kPrelu, 0,
       [](double v, double o) { return std::max(v, 0.0) + o * std::min(v, 0.0); }},
      {Epilogue::kScale, -1.5, [](double v, double) { return -1.5 * v; }},
      {Epilogue::kOffset, 0.25, [](double v, double) { return v + 0.25; }},
      {Epilogue::kLeakyRelu, 0.1,
       [](double v, double) { return std::max(v, 0.0) + 0.1 * std::min(v, 0.0); }},
      {Epilogue::kSilu, 0, [&](double v, double) { return v * sigmoid(v); }},
      {Epilogue::kGelu, 0, [](double v, double) { return v * std::erfc(-v / std::sqrt(2.0)) / 2; }},
      {Epilogue::kGeluTanh, 0,
       [&](double v, double) {
         return v * sigmoid(2 * std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * std::pow(v, 3)));
       }},
      {Epilogue::kQuickGelu, 0, [&](double v, double) { return v * sigmoid(1.702 * v); }},
      {Epilogue::kRelu, 0, [](double v, double) { return std::max(v, 0.0); }},
      {Epilogue::kTanh, 0, [&](double v, double) { return 2 * sigmoid(2 * v) - 1; }},
      {Epilogue::kSigmoid, 0, [&](double v, double) { return sigmoid(v); }},
      {Epilogue::kExp, 0, [](double v, double) { return std::pow(std::numbers::e, v); }},
  };
  CHECK(cases.size() == static_cast<size_t>(Epilogue::kExp) + 1);
  for (const Case& each : cases) {
    const bool operand = each.op <= Epilogue::kPrelu;
    // The operand has every element, one per channel, or one for all.
    for (const Shape& shape :
         operand ? std::vector<Shape>{{2, 2}, {4}, {2}, {1}} : std::vector<Shape>{{1}}) {
      Session session;
      const uint32_t input = session.Input({2, 2}, x);
      const auto size = static_cast<size_t>(Elements(shape));
      const uint32_t other =
          session.Input(shape, Floats(b.begin(), b.begin() + static_cast<std::ptrdiff_t>(size)));
      session.writer.AddStep(Kernel::kElementwise, {I(input)}, session.Output({2, 2}), {},
                             {{each.op, operand ? I(other) : -1, each.value}});
      CHECK_OK(session.Run());
      Doubles want;
      for (size_t i = 0; i < 4; ++i) want.push_back(each.want(x[i], b[size == 4 ? i : i % size]));
      CHECK_NEAR(session.outputs[0], want, 1e-6);
    }
  }
  // In order: (v + 1) · 2, not v · 2 + 1.
  CHECK_NEAR(OneStep(Kernel::kElementwise, {{{1, 1}, {3}}}, {1, 1}, {},
                     {{Epilogue::kOffset, -1, 1}, {Epilogue::kScale, -1, 2}}),
             (Doubles{8}), 0);
}

TEST(ReferenceViewsRowsAndInPlace) {
  // SmallProgram by hand: y = layer_norm(halves swapped(2 · gelu(x Wᵀ + bias))) · gamma + 2 ·
  // gelu(x Wᵀ + bias).
  const int64_t rows = 3;
  Floats x(static_cast<size_t>(rows) * 24);
  Floats bias(static_cast<size_t>(rows) * 8);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(std::sin(static_cast<double>(i)));
  for (size_t i = 0; i < bias.size(); ++i)
    bias[i] = static_cast<float>(std::cos(static_cast<double>(i)));
  Floats weight(48);
  for (size_t i = 0; i < weight.size(); ++i)
    weight[i] = static_cast<float>(std::sin(3.0 * static_cast<double>(i)));
  Session run;
  run.Input({4, 6}, x);
  run.Input({8}, bias);
  run.Param(Packing::kGemm, kF32, {8, 6}, weight);
  run.Param(Packing::kPlain, kF32, {8}, Counting(8, 1));
  run.writer.program = SmallProgram();
  CHECK_OK(run.Run(rows));
  Doubles want;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t m = 0; m < 4; ++m) {
      Doubles a(8);
      for (int64_t n = 0; n < 8; ++n) {
        double v = bias[row * 8 + n];
        for (int64_t k = 0; k < 6; ++k)
          v += static_cast<double>(x[row * 24 + m * 6 + k]) * weight[n * 6 + k];
        a[n] = 2 * v * std::erfc(-v / std::sqrt(2.0)) / 2;
      }
      double mean = 0;
      double squares = 0;
      for (const double v : a) mean += v / 8;
      for (const double v : a) squares += (v - mean) * (v - mean) / 8;
      for (int64_t n = 0; n < 8; ++n) {
        want.push_back((a[(n + 4) % 8] - mean) / std::sqrt(squares + 1e-5) *
                           static_cast<double>(n + 1) +
                       a[n]);
      }
    }
  }
  CHECK_NEAR(run.outputs[0], want, 2e-5);
}

TEST(ReferenceStorageTypes) {
  // Inputs round when stored, the weight when packed, the float64 sum once.
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const auto rounded = [&](double v) {
      return dtype == DType::kF16 ? FloatFromF16(F16FromDouble(v))
                                  : FloatFromBF16(BF16FromDouble(v));
    };
    Session session;
    const uint32_t x = session.Input({1, 2}, {1.2345f, 3.0001f});
    const uint32_t narrow = session.writer.Arena(dtype, {1, 2});
    const uint32_t weight = session.Param(Packing::kGemm, dtype, {1, 2}, {0.3333f, 7.7777f});
    const uint32_t product = session.writer.Arena(dtype, {1, 1});
    session.writer.AddStep(Kernel::kElementwise, {I(x)}, narrow);
    session.writer.AddStep(Kernel::kMatmul, {I(narrow), I(weight)}, product, {1, 64, 0, 0});
    session.writer.AddStep(Kernel::kElementwise, {I(product)}, session.Output({1, 1}));
    CHECK_OK(session.Run());
    const double sum = static_cast<double>(rounded(1.2345f)) * rounded(0.3333f) +
                       static_cast<double>(rounded(3.0001f)) * rounded(7.7777f);
    CHECK_NEAR(session.outputs[0], (Doubles{rounded(sum)}), 0);
    CHECK(rounded(sum) != static_cast<float>(sum));
  }
  Session integers;
  const uint32_t ids = integers.Ids(DType::kI64, {3}, std::vector<int64_t>{-5, 0, 1 << 30});
  const uint32_t small = integers.writer.Arena(DType::kI32, {3});
  integers.writer.AddStep(Kernel::kElementwise, {I(ids)}, small);
  integers.writer.AddStep(Kernel::kElementwise, {I(small)}, integers.Output({3}));
  CHECK_OK(integers.Run());
  CHECK_NEAR(integers.outputs[0], (Doubles{-5, 0, 1 << 30}), 0);
}

TEST(ReferenceRefusesBadRuns) {
  const auto device = OpenReferenceDevice();
  Program program = SmallProgram();
  const auto shared = std::make_shared<const Program>(DecodeProgram(Encode(program)).value());
  CHECK_STATUS(device.value()->Bind(shared, {}).status(), Code::kInvalidArgument,
               "expected 2 packs, got 0");
  CHECK_STATUS(device.value()->MakePack(program.params[1], {{7}, Floats(7)}).status(),
               Code::kShapeMismatch, "[8]");
  const auto weight = device.value()->MakePack(program.params[0], {{8, 6}, Floats(48)}).value();
  const auto gamma = device.value()->MakePack(program.params[1], {{8}, Floats(8)}).value();
  CHECK_STATUS(device.value()->Bind(shared, {gamma, weight}).status(), Code::kInvalidArgument,
               "param 0");
  const auto executable = device.value()->Bind(shared, {weight, gamma}).value().release();
  const std::unique_ptr<Executable> owner(executable);
  const auto lane = device.value()->OpenLane().value().release();
  const std::unique_ptr<Lane> lane_owner(lane);
  const auto buffer = device.value()->Allocate(200).value();
  CHECK(buffer->size_bytes() == 200);
  CHECK_STATUS(device.value()->Allocate(-1).status(), Code::kOutOfMemory, "-1");
  CHECK_STATUS(device.value()->Allocate(INT64_MAX).status(), Code::kOutOfMemory, "");
  Floats x(24), bias(8), y(32);
  const auto host = [](Floats& values, int64_t bytes) {
    return RowBinding{reinterpret_cast<std::byte*>(values.data()), nullptr, 0, bytes};
  };
  const std::vector<RowBinding> good_in = {host(x, 96), host(bias, 32)};
  const std::vector<RowBinding> good_out = {host(y, 128)};
  const auto run = [&](std::vector<RowBinding> in, std::vector<RowBinding> out, int64_t rows = 1) {
    return device.value()->Run(*lane, *executable, {rows, in, out, nullptr});
  };
  CHECK_OK(run(good_in, good_out));
  CHECK_OK(run(good_in, {{nullptr, buffer.get(), 72, 128}}));
  const auto changed = [&](const RowBinding& binding) {
    std::vector<RowBinding> in = good_in;
    in[1] = binding;
    return run(in, good_out);
  };
  CHECK_STATUS(run(good_in, good_out, 0), Code::kInvalidArgument, "rows, got 0");
  CHECK_STATUS(run(good_in, good_out, 1 << 20), Code::kInvalidArgument, "rows");
  CHECK_STATUS(run(good_in, good_out, 2), Code::kInvalidArgument,
               "expected 4 input bindings, got 2");
  CHECK_STATUS(run(good_in, {}), Code::kInvalidArgument, "expected 1 output bindings, got 0");
  CHECK_STATUS(changed(host(bias, 28)), Code::kInvalidArgument,
               "input \"bias\" of row 0: expected 32 bytes, got 28");
  CHECK_STATUS(changed({nullptr, nullptr, 0, 32}), Code::kInvalidArgument, "got neither");
  CHECK_STATUS(changed({reinterpret_cast<std::byte*>(bias.data()), buffer.get(), 0, 32}),
               Code::kInvalidArgument, "got both");
  CHECK_STATUS(changed({nullptr, buffer.get(), 172, 32}), Code::kInvalidArgument,
               "range within 200 bytes");
  CHECK_STATUS(changed({nullptr, buffer.get(), -4, 32}), Code::kInvalidArgument,
               "range within 200 bytes");
  CHECK_STATUS(changed({nullptr, buffer.get(), INT64_MAX, 32}), Code::kInvalidArgument,
               "range within 200 bytes");
  CHECK_STATUS(changed({nullptr, buffer.get(), 2, 32}), Code::kInvalidArgument, "aligned to 4");
  const std::atomic<bool> abort{true};
  CHECK_STATUS(device.value()->Run(*lane, *executable, {1, good_in, good_out, &abort}),
               Code::kAborted, "");
}

}  // namespace
}  // namespace irodori::test

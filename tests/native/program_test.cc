// DecodeProgram takes what is right and refuses each way of being wrong.
#include "native/core/program.h"

#include <cmath>
#include <functional>
#include <random>

#include "tests/native/check.h"
#include "tests/native/program_writer.h"

namespace irodori::test {
namespace {

constexpr auto kF32 = DType::kF32;

Status DecodeBytes(const std::vector<std::byte>& bytes) { return DecodeProgram(bytes).status(); }
Status Decode(const Program& program) { return DecodeBytes(Encode(program)); }

// SmallProgram with one thing changed must fail, and say so.
void Refuses(const char* file, int line, const std::function<void(Program&)>& change,
             std::string_view part) {
  Program program = SmallProgram();
  change(program);
  CheckStatus(file, line, Decode(program), Code::kInvalidProgram, part);
}
#define REFUSES(part, ...) \
  Refuses(                 \
      __FILE__, __LINE__, [](Program& p) { __VA_ARGS__; }, part)

// Buffers of SmallProgram, in order.
enum { kX, kBias, kWeight, kGamma, kA, kB, kA2, kLeft, kRight, kALeft, kARight, kY };

TEST(ProgramDecodes) {
  const Program want = SmallProgram();
  const Result<Program> got = DecodeProgram(Encode(want));
  CHECK_OK(got.status());
  CHECK(Encode(got.value()) == Encode(want));
  CHECK(got.value().steps[4].operands.size() == 3);
}

TEST(ProgramLeavesOutTrailingOperands) {
  Program program = SmallProgram();
  program.steps[4].operands.pop_back();
  const Result<Program> got = DecodeProgram(Encode(program));
  CHECK_OK(got.status());
  CHECK(got.value().steps[4].operands[2] == -1);
}

TEST(ProgramRefusesEveryTruncation) {
  const std::vector<std::byte> bytes = Encode(SmallProgram());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Status status = DecodeProgram(std::span(bytes).first(size)).status();
    if (status.code() != Code::kInvalidProgram)
      Fail(__FILE__, __LINE__, Message("want a refusal at ", size, " bytes"));
  }
  std::vector<std::byte> longer = bytes;
  longer.push_back({});
  CHECK_STATUS(DecodeBytes(longer), Code::kInvalidProgram, "end of the program");
}

TEST(ProgramSurvivesEveryByteChange) {
  const std::vector<std::byte> bytes = Encode(SmallProgram());
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> changed = bytes;
    for (int change = 0; change < 1 + round % 3; ++change)
      changed[random() % changed.size()] = static_cast<std::byte>(random());
    const Result<Program> result = DecodeProgram(changed);
    if (!result.ok()) CHECK(result.status().code() == Code::kInvalidProgram);
  }
}

TEST(ProgramRefusesHeader) {
  std::vector<std::byte> bytes = Encode(SmallProgram());
  bytes[0] = std::byte{0};
  CHECK_STATUS(DecodeBytes(bytes), Code::kInvalidProgram, "magic");
  bytes = Encode(SmallProgram());
  bytes[4] = std::byte{kProgramVersion + 1};
  CHECK_STATUS(DecodeBytes(bytes), Code::kInvalidProgram, Message("version ", kProgramVersion));
  bytes = Encode(SmallProgram());
  bytes[8 + 3] = std::byte{0xff};  // name length
  CHECK_STATUS(DecodeBytes(bytes), Code::kInvalidProgram, "name");
  REFUSES("UTF-8", p.name = "\xc0\xaf");
  REFUSES("arena bytes", p.arena_bytes = uint64_t{1} << 60);
}

TEST(ProgramRefusesBuffers) {
  REFUSES("dtype below 8", p.buffers[kX].dtype = static_cast<DType>(8));
  REFUSES("i8 in a parameter", p.buffers[kX].dtype = DType::kI8);
  REFUSES("storage kind below 5", p.buffers[kX].storage = static_cast<StorageKind>(5));
  REFUSES("size of at least 1", p.buffers[kX].shape = {4, 0});
  REFUSES("size of at least 1", p.buffers[kX].shape = {4, -6});
  REFUSES("axes", p.buffers[kX].shape = Shape(9, 1));
  REFUSES("elements", p.buffers[kX].shape = {int64_t{1} << 32, int64_t{1} << 32});
  REFUSES("pitch 6", p.buffers[kX].pitch = 7);
  REFUSES("divisible by 64", p.buffers[kB].offset = 32);
  REFUSES("arena bytes", p.buffers[kB].offset = 64 * 1000);
  REFUSES("arena bytes", p.buffers[kB].offset = UINT64_MAX - 63);
  REFUSES("pitch from 4", p.buffers[kLeft].pitch = 3);
  REFUSES("pitch from 4", p.buffers[kLeft].pitch = -8);
  REFUSES("pitch from 4", p.buffers[kLeft].pitch = INT64_MAX);
  REFUSES("range within the 32 elements", p.buffers[kRight].offset = 20);
  REFUSES("range within the 32 elements", p.buffers[kRight].offset = 1 << 20);
  REFUSES("range within the 32 elements", p.buffers[kLeft].pitch = 10);
  REFUSES("byte offset divisible by 4", p.buffers[kLeft].offset = 2);
  REFUSES("no view", p.buffers[kLeft].index = kRight);
  REFUSES("base below", p.buffers[kLeft].index = 99);
  REFUSES("plain packing", p.buffers[kLeft].index = kWeight);
  REFUSES("as its base", p.buffers[kLeft].dtype = DType::kI32);
}

TEST(ProgramRefusesPortsAndParams) {
  REFUSES("port buffer below", p.inputs[0].buffer = 99);
  REFUSES("storage of input 0", p.inputs[0].buffer = kBias);
  REFUSES("storage of output 0", p.outputs[0].buffer = kX);
  REFUSES("ordinal", p.inputs.pop_back());
  REFUSES("once", p.inputs[1].name = "x");
  REFUSES("packing below 3", p.params[0].packing = static_cast<Packing>(3));
  REFUSES("real numbers", p.params[0].dtype = DType::kI32);
  REFUSES("two axes", p.params[0].shape = {48});
  REFUSES("of param 1", p.params[1].shape = {9});
  REFUSES("of param 1", p.params[1].dtype = DType::kF16);
  REFUSES("of param 0", p.params[0].shape = {6, 8});
  REFUSES("param below 2", p.buffers[kGamma].index = 2);
}

TEST(ProgramRefusesSteps) {
  REFUSES("kernel below", p.steps[0].kernel = static_cast<Kernel>(13));
  REFUSES("operands", p.steps[1].operands = {kA, kA});
  REFUSES("with operand 1", p.steps[0].operands = {kX});
  REFUSES("with operand 0", p.steps[1].operands = {-1});
  REFUSES("operand below", p.steps[1].operands = {-2});
  REFUSES("operand below", p.steps[1].operands = {12});
  REFUSES("output below", p.steps[1].output = 12);
  REFUSES("4 attributes", p.steps[0].attrs = {1});
  REFUSES("finite attribute", p.steps[4].attrs = {NAN});
  REFUSES("finite epilogue value", p.steps[1].epilogue[0].value = INFINITY);
  REFUSES("epilogue op below", p.steps[1].epilogue[0].op = static_cast<Epilogue>(16));
  REFUSES("without operand", p.steps[1].epilogue[0].operand = kA);
  REFUSES("with an operand", p.steps[4].epilogue[0].operand = -1);
  REFUSES("with value 0", p.steps[0].epilogue[0].value = 3);
  REFUSES("integer from 1", p.steps[0].attrs[0] = 0);
  REFUSES("integer from 1", p.steps[0].attrs[1] = 1.5);
  REFUSES("eps", p.steps[4].attrs[0] = -1);
  REFUSES("output in the arena", p.steps[0].output = kX);
  REFUSES("gemm packing", p.steps[0].operands[1] = kA2);
  REFUSES("plain packing", p.steps[4].operands[1] = kWeight);
  REFUSES("1 elements", p.steps[4].epilogue[0].operand = kWeight);
  REFUSES("weight [8]", p.steps[4].operands[1] = kX);
  REFUSES("bias [8]", p.steps[0].operands[2] = kX);
  REFUSES("1 elements", p.steps[4].epilogue[0].operand = kX);
}

// Its result at one place is what x has at another.
void MakeStridedCopy(Step& step) {
  step.kernel = Kernel::kStridedCopy;
  step.operands.resize(1);
  step.attrs = {0, 2, 4, 8, 8, 1};
  step.epilogue.clear();
}

TEST(ProgramRefusesDataflow) {
  REFUSES("unwritten", p.steps.erase(p.steps.begin()));
  REFUSES("unwritten", p.steps.erase(p.steps.begin() + 3));  // half of b
  REFUSES("unwritten", p.buffers[kRight].offset = 0);        // the same half twice
  REFUSES("apart from its operands", (MakeStridedCopy(p.steps[4]), p.steps[4].output = kB));
  REFUSES("output \"y\"", p.steps.pop_back());
  REFUSES("still in use", p.buffers[kA2].offset = 128);          // over b, alive
  REFUSES("still in use", p.steps[4].epilogue[0].operand = kA);  // a read after a2 took its bytes
  REFUSES("still in use", MakeStridedCopy(p.steps[1]));          // not element for element
  Program good = SmallProgram();
  good.steps[1].operands[0] = static_cast<int32_t>(kA);
  good.steps[1].epilogue.push_back(
      {Epilogue::kAdd, kA, 0});  // the same element of the operand that dies
  CHECK_OK(Decode(good));
  good = SmallProgram();
  good.steps[1].kernel = Kernel::kSoftmax;  // vector for vector
  CHECK_OK(Decode(good));
}

// One step of a kernel over an input; the rule of that kernel decides.
Status OneStep(Kernel kernel, const std::vector<std::pair<DType, Shape>>& operands, DType dtype,
               const Shape& output, const std::vector<double>& attrs) {
  ProgramWriter w;
  std::vector<int32_t> indices;
  for (size_t i = 0; i < operands.size(); ++i) {
    const auto& [type, shape] = operands[i];
    const bool weight = i == 1 && (kernel == Kernel::kMatmul || kernel == Kernel::kConv2d);
    const uint32_t index =
        weight ? w.Param(Packing::kGemm, type, shape) : w.Input(Message("i", i), type, shape);
    indices.push_back(static_cast<int32_t>(index));
  }
  const uint32_t y = w.Output("y", dtype, output);
  w.AddStep(kernel, indices, y, attrs);
  return Decode(w.program);
}

#define KERNEL_OK(...) CHECK_OK(OneStep(__VA_ARGS__))
#define KERNEL_REFUSES(part, ...) CHECK_STATUS(OneStep(__VA_ARGS__), Code::kInvalidProgram, part)
using Operands = std::vector<std::pair<DType, Shape>>;

TEST(ProgramRulesMatmul) {
  const Operands good = {{kF32, {4, 6}}, {kF32, {8, 6}}, {kF32, {8}}};
  KERNEL_OK(Kernel::kMatmul, good, kF32, {4, 8}, {1, 64, 0, 0});
  KERNEL_REFUSES("output [4, 8]", Kernel::kMatmul, good, kF32, {8, 4}, {1, 64, 0, 0});
  KERNEL_REFUSES("real numbers", Kernel::kMatmul, good, DType::kI32, {4, 8}, {1, 64, 0, 0});
  KERNEL_REFUSES("weight [N, 7]", Kernel::kMatmul, (Operands{{kF32, {4, 7}}, {kF32, {8, 6}}}), kF32,
                 {4, 8}, {1, 64, 0, 0});
}

TEST(ProgramRulesStrassen) {
  const Operands good = {{kF32, {6, 64}}, {DType::kBF16, {96, 64}}, {kF32, {96}}};
  KERNEL_OK(Kernel::kMatmul, good, kF32, {6, 96}, {1, 64, 1, 0});
  KERNEL_REFUSES("0 or 1", Kernel::kMatmul, good, kF32, {6, 96}, {1, 64, 2, 0});
  KERNEL_REFUSES("in one sum", Kernel::kMatmul, good, kF32, {6, 96}, {2, 64, 1, 0});
  KERNEL_REFUSES("in one sum", Kernel::kMatmul, good, kF32, {6, 96}, {1, 32, 1, 0});
  KERNEL_REFUSES("an even number", Kernel::kMatmul, (Operands{{kF32, {5, 64}}, {kF32, {96, 64}}}),
                 kF32, {5, 96}, {1, 64, 1, 0});
  KERNEL_REFUSES("multiples of 32", Kernel::kMatmul, (Operands{{kF32, {6, 48}}, {kF32, {96, 48}}}),
                 kF32, {6, 96}, {1, 48, 1, 0});
  KERNEL_REFUSES("multiples of 32", Kernel::kMatmul, (Operands{{kF32, {6, 64}}, {kF32, {80, 64}}}),
                 kF32, {6, 80}, {1, 64, 1, 0});
  const Operands narrow = {{kF32, {6, 64}}, {DType::kI8, {96, 64}}};
  KERNEL_REFUSES("in real numbers", Kernel::kMatmul, narrow, kF32, {6, 96}, {1, 64, 1, 0});
  KERNEL_REFUSES("in real numbers", Kernel::kMatmul, narrow, kF32, {6, 96}, {1, 64, 1, 32});
}

TEST(ProgramRulesInt8) {
  constexpr DType kI8 = DType::kI8;
  const Operands good = {{DType::kBF16, {4, 7}}, {kI8, {8, 7}}};
  KERNEL_OK(Kernel::kMatmul, good, kF32, {4, 8}, {1, 64, 0, 32});
  KERNEL_OK(Kernel::kMatmul, good, kF32, {4, 8}, {1, 64, 0, 0});
  KERNEL_REFUSES("0, 16 or 32", Kernel::kMatmul, good, kF32, {4, 8}, {1, 64, 0, 8});
  // Weights for sums of 16 bits are for them alone.
  const Operands narrow = {{DType::kBF16, {4, 7}}, {DType::kI8Sums16, {8, 7}}};
  KERNEL_OK(Kernel::kMatmul, narrow, kF32, {4, 8}, {1, 64, 0, 16});
  KERNEL_REFUSES("for those sums", Kernel::kMatmul, narrow, kF32, {4, 8}, {1, 64, 0, 32});
  KERNEL_REFUSES("for those sums", Kernel::kMatmul, good, kF32, {4, 8}, {1, 64, 0, 16});
  KERNEL_REFUSES("for x as it is", Kernel::kMatmul, narrow, kF32, {4, 8}, {1, 64, 0, 0});
  KERNEL_REFUSES("weights in i8", Kernel::kMatmul, (Operands{{kF32, {4, 7}}, {kF32, {8, 7}}}), kF32,
                 {4, 8}, {1, 64, 0, 32});
  const Operands wide = {{kF32, {1, 65540}}, {kI8, {1, 65540}}};
  KERNEL_REFUSES("at most 65536 terms", Kernel::kMatmul, wide, kF32, {1, 1}, {1, 64, 0, 32});
  const Operands picture = {{kF32, {5, 7, 8}}, {kI8, {4, 3, 3, 8}}};
  KERNEL_OK(Kernel::kConv2d, picture, kF32, {5, 7, 4}, {3, 3, 1, 1, 1, 1, 1, 1, 1, 72, 1, 0, 32});
  KERNEL_OK(Kernel::kConv2d, picture, kF32, {5, 7, 4}, {3, 3, 1, 1, 1, 1, 1, 1, 1, 72, 1, 4, 0});
  KERNEL_REFUSES("in one sum over x", Kernel::kConv2d, picture, kF32, {5, 7, 4},
                 {3, 3, 1, 1, 1, 1, 1, 1, 1, 72, 1, 2, 32});
  const Operands odd = {{kF32, {5, 7, 6}}, {kI8, {4, 3, 3, 6}}};
  KERNEL_REFUSES("groups of 4", Kernel::kConv2d, odd, kF32, {5, 7, 4},
                 {3, 3, 1, 1, 1, 1, 1, 1, 1, 72, 1, 0, 32});
  // Nothing else takes weights in i8, and they lie in packs alone.
  KERNEL_REFUSES("i8 in a parameter", Kernel::kElementwise, (Operands{{kI8, {4}}}), kF32, {4}, {});
}

TEST(ProgramRulesConv2d) {
  const Operands good = {{kF32, {5, 7, 3}}, {kF32, {4, 3, 3, 3}}, {kF32, {4}}};
  const Operands flat = {{kF32, {5, 7, 3}}, {kF32, {4, 27}}};
  KERNEL_OK(Kernel::kConv2d, good, kF32, {3, 4, 4}, {3, 3, 2, 2, 1, 1, 1, 1, 1, 64, 1, 0, 0});
  KERNEL_OK(Kernel::kConv2d, flat, kF32, {5, 7, 4}, {3, 3, 1, 1, 1, 1, 1, 1, 1, 64, 1, 0, 0});
  KERNEL_REFUSES("output [5, 7, 4]", Kernel::kConv2d, good, kF32, {5, 6, 4},
                 {3, 3, 1, 1, 1, 1, 1, 1, 1, 64, 1, 0, 0});
  KERNEL_REFUSES("weight [O, 2, 3, 3]", Kernel::kConv2d, good, kF32, {5, 7, 4},
                 {2, 3, 1, 1, 1, 1, 1, 1, 1, 64, 1, 0, 0});
  KERNEL_REFUSES("integer from 0", Kernel::kConv2d, good, kF32, {5, 7, 4},
                 {3, 3, 1, 1, -1, 1, 1, 1, 1, 64, 1, 0, 0});
  KERNEL_REFUSES("integer from 1", Kernel::kConv2d, good, kF32, {5, 7, 4},
                 {3, 3, 0, 1, 1, 1, 1, 1, 1, 64, 1, 0, 0});
  const Operands small = {{kF32, {1, 1, 3}}, {kF32, {4, 3, 3, 3}}};
  KERNEL_REFUSES("no smaller than the kernel", Kernel::kConv2d, small, kF32, {1, 1, 4},
                 {3, 3, 1, 1, 0, 0, 0, 0, 1, 64, 1, 0, 0});
  // Forms: Winograd's tiles, and pictures seen doubled.
  KERNEL_OK(Kernel::kConv2d, good, kF32, {5, 7, 4}, {3, 3, 1, 1, 1, 1, 1, 1, 1, 27, 1, 2, 0});
  KERNEL_OK(Kernel::kConv2d, good, kF32, {6, 6, 4}, {3, 3, 1, 1, 2, 0, 1, 1, 1, 27, 1, 4, 0});
  KERNEL_OK(Kernel::kConv2d, good, kF32, {10, 14, 4}, {3, 3, 1, 1, 1, 1, 1, 1, 1, 27, 2, 2, 0});
  KERNEL_REFUSES("form of convolution", Kernel::kConv2d, good, kF32, {5, 7, 4},
                 {3, 3, 1, 1, 1, 1, 1, 1, 1, 27, 1, 3, 0});
  KERNEL_REFUSES("form of convolution", Kernel::kConv2d, good, kF32, {15, 21, 4},
                 {3, 3, 1, 1, 1, 1, 1, 1, 1, 27, 3, 0, 0});
  KERNEL_REFUSES("upsample packing", Kernel::kConv2d, good, kF32, {10, 14, 4},
                 {3, 3, 1, 1, 1, 1, 1, 1, 1, 27, 2, 0, 0});
  KERNEL_REFUSES("output [10, 14, 4]", Kernel::kConv2d, good, kF32, {5, 7, 4},
                 {3, 3, 1, 1, 1, 1, 1, 1, 1, 27, 2, 2, 0});
  KERNEL_REFUSES("padded by 1", Kernel::kConv2d, good, kF32, {9, 14, 4},
                 {3, 3, 1, 1, 0, 1, 1, 1, 1, 27, 2, 2, 0});
  KERNEL_REFUSES("3x3 convolution of stride 1", Kernel::kConv2d, good, kF32, {3, 7, 4},
                 {3, 3, 2, 1, 1, 1, 1, 1, 1, 27, 1, 2, 0});
  KERNEL_REFUSES("in one sum", Kernel::kConv2d, good, kF32, {5, 7, 4},
                 {3, 3, 1, 1, 1, 1, 1, 1, 2, 27, 1, 2, 0});
  KERNEL_REFUSES("in one sum", Kernel::kConv2d, good, kF32, {5, 7, 4},
                 {3, 3, 1, 1, 1, 1, 1, 1, 1, 20, 1, 2, 0});
}

TEST(ProgramRulesAttention) {
  const Operands good = {{kF32, {4, 6}}, {kF32, {5, 6}}, {kF32, {5, 6}}, {DType::kI32, {1}}};
  KERNEL_OK(Kernel::kAttention, good, kF32, {4, 6}, {2, 0, 0.5, 64});
  KERNEL_REFUSES("divisible by 4 heads", Kernel::kAttention, good, kF32, {4, 6}, {4, 0, 0.5, 64});
  KERNEL_REFUSES("causal keys", Kernel::kAttention, good, kF32, {4, 6}, {2, 1, 0.5, 64});
  KERNEL_REFUSES("0 or 1", Kernel::kAttention, good, kF32, {4, 6}, {2, 2, 0.5, 64});
  KERNEL_REFUSES("v [5, 6]", Kernel::kAttention,
                 (Operands{{kF32, {4, 6}}, {kF32, {5, 6}}, {kF32, {4, 6}}}), kF32, {4, 6},
                 {2, 0, 0.5, 64});
  Operands real_length = good;
  real_length[3].first = kF32;
  KERNEL_REFUSES("kvLength", Kernel::kAttention, real_length, kF32, {4, 6}, {2, 0, 0.5, 64});
}

TEST(ProgramRulesStridedCopyOfViews) {
  // A view of the first 3 of 5 columns: the copy's strides count elements of a dense x.
  const auto copy = [](Shape shape, std::vector<double> attrs) {
    ProgramWriter w;
    const uint32_t whole = w.Input("x", kF32, {2, 5});
    const int64_t pitch = 5;
    w.program.buffers.push_back(
        {"view", kF32, std::move(shape), pitch, StorageKind::kView, 0, whole});
    const auto view = static_cast<int32_t>(w.program.buffers.size() - 1);
    w.AddStep(Kernel::kStridedCopy, {view}, w.Output("y", kF32, {3}), std::move(attrs));
    return Decode(w.program);
  };
  CHECK_STATUS(copy({2, 3}, {0, 1, 3, 1}), Code::kInvalidProgram, "contiguous x");
  CHECK_OK(copy({1, 3}, {0, 1, 3, 1}));
}

TEST(ProgramRulesOthers) {
  KERNEL_OK(Kernel::kGroupNorm, (Operands{{kF32, {2, 2, 6}}}), kF32, {2, 2, 6}, {3, 1e-5, 4});
  KERNEL_REFUSES("4 groups", Kernel::kGroupNorm, (Operands{{kF32, {2, 2, 6}}}), kF32, {2, 2, 6},
                 {4, 1e-5, 4});
  KERNEL_REFUSES("weight [6]", Kernel::kRmsNorm, (Operands{{kF32, {2, 6}}, {kF32, {5}}}), kF32,
                 {2, 6}, {1e-6});
  KERNEL_REFUSES("output [2, 6]", Kernel::kSoftmax, (Operands{{kF32, {2, 6}}}), kF32, {6, 2}, {});
  KERNEL_OK(Kernel::kElementwise, (Operands{{DType::kI32, {3}}}), kF32, {3}, {});
  KERNEL_REFUSES("output of real numbers", Kernel::kElementwise, (Operands{{kF32, {3}}}),
                 DType::kI32, {3}, {});
  KERNEL_OK(Kernel::kEmbedding, (Operands{{DType::kI64, {3}}, {kF32, {9, 4}}}), kF32, {3, 4}, {});
  KERNEL_REFUSES("ids", Kernel::kEmbedding, (Operands{{kF32, {3}}, {kF32, {9, 4}}}), kF32, {3, 4},
                 {});
  KERNEL_REFUSES("output [3, 4]", Kernel::kEmbedding,
                 (Operands{{DType::kI64, {3}}, {kF32, {9, 4}}}), kF32, {4, 4}, {});
  KERNEL_OK(Kernel::kStridedCopy, (Operands{{kF32, {2, 3}}}), kF32, {3, 2}, {0, 2, 3, 2, 1, 3});
  KERNEL_OK(Kernel::kStridedCopy, (Operands{{kF32, {2, 3}}}), kF32, {6}, {5, 1, 6, -1});
  KERNEL_REFUSES("sizes and strides", Kernel::kStridedCopy, (Operands{{kF32, {2, 3}}}), kF32, {6},
                 {5, 2, 6, -1});
  KERNEL_REFUSES("sizes and strides", Kernel::kStridedCopy, (Operands{{kF32, {2, 3}}}), kF32, {6},
                 {});
  KERNEL_REFUSES("within the 6", Kernel::kStridedCopy, (Operands{{kF32, {2, 3}}}), kF32, {6},
                 {4, 1, 6, -1});
  KERNEL_REFUSES("within the 6", Kernel::kStridedCopy, (Operands{{kF32, {2, 3}}}), kF32, {3, 2},
                 {0, 2, 3, 2, 2, 3});
  KERNEL_REFUSES("6 elements", Kernel::kStridedCopy, (Operands{{kF32, {2, 3}}}), kF32, {6},
                 {0, 1, 5, 1});
  KERNEL_REFUSES("inside x", Kernel::kStridedCopy, (Operands{{kF32, {2, 3}}}), kF32, {6},
                 {0, 1, 6, 1e18});
  KERNEL_OK(Kernel::kResizeNearest, (Operands{{kF32, {2, 3, 4}}}), kF32, {5, 1, 4}, {});
  KERNEL_REFUSES("output [H, W, 4]", Kernel::kResizeNearest, (Operands{{kF32, {2, 3, 4}}}), kF32,
                 {5, 1, 3}, {});
  KERNEL_REFUSES("0 or 1", Kernel::kResizeBilinear, (Operands{{kF32, {2, 3, 4}}}), kF32, {5, 1, 4},
                 {0.5});
  KERNEL_OK(Kernel::kTimestepEmbedding, (Operands{{kF32, {1}}}), kF32, {8}, {1, 0, 1, 10000});
  KERNEL_REFUSES("shift below 4", Kernel::kTimestepEmbedding, (Operands{{kF32, {1}}}), kF32, {8},
                 {1, 4, 1, 10000});
  KERNEL_REFUSES("t [1]", Kernel::kTimestepEmbedding, (Operands{{kF32, {2}}}), kF32, {8},
                 {1, 0, 1, 10000});
  KERNEL_REFUSES("maxPeriod", Kernel::kTimestepEmbedding, (Operands{{kF32, {1}}}), kF32, {8},
                 {1, 0, 1, 0});
}

}  // namespace
}  // namespace irodori::test

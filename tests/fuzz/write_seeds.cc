// Writes the seed corpora: write_seeds FOLDER makes FOLDER/{safetensors,program,recipe}/*.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "native/core/recipe.h"
#include "tests/fuzz/require.h"
#include "tests/native/program_writer.h"

namespace {

using namespace irodori;
using test::ByteWriter;
using test::ProgramWriter;

constexpr auto kF32 = DType::kF32;

void Write(const std::filesystem::path& path, const std::vector<std::byte>& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

void Header(const std::filesystem::path& path, uint32_t data_bytes, std::string_view header) {
  ByteWriter out;
  out.Number(data_bytes);
  for (const char character : header) out.Number(character);
  Write(path, out.bytes());
}

void Headers(const std::filesystem::path& folder) {
  Header(folder / "empty", 0, "{}");
  Header(folder / "one", 8, R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})");
  Header(
      folder / "several", 26,
      R"({"__metadata__":{"format":"pt","k":"\u00e9"},"x.weight":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]},"i":{"dtype":"I64","shape":[],"data_offsets":[10,18]},)"
      R"("u":{"dtype":"U8","shape":[0,3],"data_offsets":[18,18]},"n":{"dtype":"I32","shape":[1,2],"data_offsets":[18,26]}}  )");
  Header(folder / "unsupported", 8, R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})");
}

int32_t I(uint32_t buffer) { return static_cast<int32_t>(buffer); }

// A seed that the decoder refuses would leave everything behind it to chance.
void WriteProgram(const std::filesystem::path& path, const Program& program) {
  const std::vector<std::byte> bytes = test::Encode(program);
  const Status status = DecodeProgram(bytes).status();
  if (!status.ok()) std::fprintf(stderr, "%s: %s\n", path.c_str(), status.message().c_str());
  REQUIRE(status.ok());
  Write(path, bytes);
}

struct Operand {
  DType dtype;
  Shape shape;
  bool weight = false;
};

// One step from inputs to one output: what the program target compares between backends.
void Step(const std::filesystem::path& path, Kernel kernel, const std::vector<Operand>& operands,
          const Operand& output, const std::vector<double>& attrs,
          const std::vector<EpilogueOp>& epilogue = {}) {
  ProgramWriter writer;
  std::vector<int32_t> indices;
  for (const Operand& operand : operands) {
    const std::string name(1, static_cast<char>('a' + indices.size()));
    indices.push_back(I(operand.weight ? writer.Param(Packing::kGemm, operand.dtype, operand.shape)
                                       : writer.Input(name, operand.dtype, operand.shape)));
  }
  const uint32_t y = writer.Output("y", output.dtype, output.shape);
  writer.AddStep(kernel, indices, y, attrs, epilogue);
  WriteProgram(path, writer.program);
}

void Steps(const std::filesystem::path& folder) {
  constexpr auto kBF16 = DType::kBF16;
  constexpr auto kF16 = DType::kF16;
  Step(folder / "matmul", Kernel::kMatmul, {{kF32, {5, 19}}, {kBF16, {9, 19}, true}, {kF32, {9}}},
       {kF32, {5, 9}}, {2, 32, 0}, {{Epilogue::kGeluTanh, -1, 0}});
  Step(folder / "matmul_int8", Kernel::kMatmul, {{kBF16, {5, 19}}, {DType::kI8, {9, 19}, true}},
       {kF32, {5, 9}}, {1, 32, 8}, {{Epilogue::kSilu, -1, 0}});
  Step(folder / "conv2d_int8", Kernel::kConv2d,
       {{kF32, {5, 4, 12}}, {DType::kI8, {6, 3, 3, 12}, true}}, {kF32, {5, 4, 6}},
       {3, 3, 1, 1, 1, 1, 1, 1, 1, 108, 1, 0, 7});
  Step(folder / "conv2d", Kernel::kConv2d, {{kF32, {5, 4, 17}}, {kF32, {6, 1, 1, 17}, true}},
       {kF16, {6, 5, 6}}, {1, 1, 1, 1, 0, 0, 1, 1, 1, 64, 1, 0, 0});
  Step(folder / "conv2d_winograd", Kernel::kConv2d, {{kF32, {5, 6, 5}}, {kF16, {6, 3, 3, 5}, true}},
       {kF32, {5, 6, 6}}, {3, 3, 1, 1, 1, 1, 1, 1, 1, 64, 1, 4, 0});
  Step(folder / "conv2d_doubled", Kernel::kConv2d, {{kF32, {3, 2, 5}}, {kF32, {6, 3, 3, 5}, true}},
       {kF32, {6, 4, 6}}, {3, 3, 1, 1, 1, 1, 1, 1, 1, 64, 2, 2, 0});
  Step(folder / "attention", Kernel::kAttention, {{kF32, {7, 8}}, {kF32, {9, 8}}, {kF32, {9, 8}}},
       {kF32, {7, 8}}, {2, 0, 0.5, 4});
  Step(folder / "layer_norm", Kernel::kLayerNorm, {{kF16, {3, 10}}, {kF32, {10}}, {kF32, {10}}},
       {kF32, {3, 10}}, {1e-2});
  Step(folder / "group_norm", Kernel::kGroupNorm, {{kBF16, {3, 2, 12}}}, {kF32, {3, 2, 12}},
       {3, 1e-2, 4});
  Step(folder / "rms_norm", Kernel::kRmsNorm, {{kF32, {3, 10}}, {kF32, {10}}}, {kBF16, {3, 10}},
       {1e-2}, {{Epilogue::kScale, -1, 2}});
  Step(folder / "softmax", Kernel::kSoftmax, {{kF32, {4, 11}}}, {kF32, {4, 11}}, {});
  Step(folder / "elementwise", Kernel::kElementwise, {{kF32, {4, 11}}}, {kF16, {4, 11}}, {},
       {{Epilogue::kSilu, -1, 0}});
  Step(folder / "embedding", Kernel::kEmbedding, {{DType::kI32, {3}}, {kF16, {5, 4}}},
       {kF32, {3, 4}}, {});
  Step(folder / "strided_copy", Kernel::kStridedCopy, {{kF32, {4, 6}}}, {kF32, {6, 4}},
       {0, 2, 6, 4, 1, 6});
  Step(folder / "resize_nearest", Kernel::kResizeNearest, {{kF32, {3, 2, 5}}}, {kF32, {5, 7, 5}},
       {});
  Step(folder / "resize_bilinear", Kernel::kResizeBilinear, {{kF32, {3, 2, 5}}}, {kF32, {5, 7, 5}},
       {0});
}

void Programs(const std::filesystem::path& folder) {
  Steps(folder);
  WriteProgram(folder / "small", test::SmallProgram());
  ProgramWriter picture;
  const uint32_t x = picture.Input("x", kF32, {3, 4, 4});
  const uint32_t weight = picture.Param(Packing::kGemm, DType::kBF16, {4, 3, 3, 4});
  const uint32_t a = picture.Arena(DType::kBF16, {3, 4, 4});
  const uint32_t b = picture.Arena(DType::kF16, {3, 4, 4});
  const uint32_t up = picture.Arena(kF32, {6, 4, 4});
  picture.AddStep(Kernel::kConv2d, {I(x), I(weight)}, a, {3, 3, 1, 1, 1, 1, 1, 1, 1, 64, 1, 0, 0},
                  {{Epilogue::kSilu, -1, 0}});
  picture.AddStep(Kernel::kGroupNorm, {I(a)}, b, {2, 1e-5, 8}, {{Epilogue::kAdd, I(x), 0}});
  picture.AddStep(Kernel::kResizeNearest, {I(b)}, up);
  picture.AddStep(Kernel::kResizeBilinear, {I(up)}, picture.Output("y", kF32, {2, 3, 4}), {1});
  WriteProgram(folder / "picture", picture.program);
  ProgramWriter text;
  const uint32_t ids = text.Input("ids", DType::kI32, {3});
  const uint32_t length = text.Input("length", DType::kI64, {1});
  const uint32_t t = text.Input("t", kF32, {1});
  const uint32_t table = text.Param(Packing::kPlain, DType::kF16, {5, 4});
  const uint32_t gamma = text.Param(Packing::kPlain, kF32, {4});
  const uint32_t h = text.Arena(kF32, {3, 4});
  const uint32_t n = text.Arena(kF32, {3, 4});
  const uint32_t p = text.Arena(kF32, {3, 4});
  const uint32_t time = text.Arena(kF32, {4});
  text.AddStep(Kernel::kEmbedding, {I(ids), I(table)}, h);
  text.AddStep(Kernel::kTimestepEmbedding, {I(t)}, time, {1, 0, 1, 10000});
  text.AddStep(Kernel::kRmsNorm, {I(h), I(gamma)}, n, {1e-6},
               {{Epilogue::kMulOnePlus, I(time), 0}});
  text.AddStep(Kernel::kAttention, {I(n), I(n), I(n), I(length)}, p, {2, 1, 0.7, 64});
  text.AddStep(Kernel::kSoftmax, {I(p)}, h);
  text.AddStep(Kernel::kStridedCopy, {I(h)}, text.Output("y", kF32, {4, 3}), {0, 2, 4, 3, 1, 4});
  WriteProgram(folder / "text", text.program);
}

void Recipes(const std::filesystem::path& folder) {
  ByteWriter out;
  const auto op = [&](RecipeOp code) { out.Number(static_cast<uint8_t>(code)); };
  out.Number(kRecipeMagic);
  out.Number(kRecipeVersion);
  op(RecipeOp::kTensor);
  out.Number(uint32_t{0});
  out.Number(int64_t{16});
  out.Number(int64_t{40});
  out.Number(static_cast<uint8_t>(kF32));
  out.WriteShape({2, 3});
  op(RecipeOp::kLiteral);
  out.WriteShape({1, 3});
  for (const float value : {1.f, 2.f, 3.f}) out.Number(value);
  op(RecipeOp::kConcat);
  out.Number(uint32_t{2});
  out.Number(uint32_t{0});
  op(RecipeOp::kSlice);
  out.Number(uint32_t{1});
  out.Number(int64_t{1});
  out.Number(int64_t{2});
  op(RecipeOp::kPermute);
  out.Number(uint32_t{2});
  out.Number(uint32_t{1});
  out.Number(uint32_t{0});
  op(RecipeOp::kReshape);
  out.WriteShape({3, 1, 2});
  for (const Shape& factor : {Shape{3, 1}, Shape{1, 1, 2}}) {
    op(RecipeOp::kLiteral);
    out.WriteShape(factor);
    for (int64_t i = 0; i < Elements(factor); ++i) out.Number(0.5f);
  }
  op(RecipeOp::kAddLowRank);
  out.Number(2.f);
  Write(folder / "all", out.bytes());
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "expected a folder\n");
    return 2;
  }
  const std::filesystem::path folder = arguments[1];
  Headers(folder / "safetensors");
  Programs(folder / "program");
  Recipes(folder / "recipe");
  return 0;
}

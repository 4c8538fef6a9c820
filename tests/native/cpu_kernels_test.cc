// Every CPU kernel family against the reference device on odd, prime and misaligned sizes.
#include "tests/native/check.h"
#include "tests/native/cpu_case.h"

namespace irodori::test {
namespace {

constexpr double kEpsilon = 0x1p-23;
constexpr DType kReals[] = {DType::kF32, DType::kBF16, DType::kF16};

std::string_view Text(DType dtype) {
  return dtype == DType::kF32 ? "f32" : dtype == DType::kBF16 ? "bf16" : "f16";
}

void CheckAll(const std::vector<StepCase>& cases) {
  for (const std::string& family : RunningFamilies()) {
    for (const StepCase& step : cases) CheckCase(family, step);
  }
}

// Terms are at most 1: an error of half an epsilon per addition, and the epilogue on top.
double SumTolerance(int64_t terms) { return kEpsilon * static_cast<double>(terms + 8); }

StepCase Matmul(int64_t m, int64_t n, int64_t k, DType x, DType weight, DType out) {
  return {Message("matmul ", m, "x", n, "x", k, " ", Text(x), " ", Text(weight), " ", Text(out)),
          Kernel::kMatmul,
          {TensorSpec{{m, k}, x}, TensorSpec{{n, k}, weight, Place::kGemm},
           TensorSpec{{n}, weight, Place::kParam}},
          {{m, n}, out},
          {1, static_cast<double>(k), 0, 0},
          {},
          SumTolerance(k)};
}

// Rows, outputs and terms of products: none, some and all of them multiples of tiles.
constexpr std::array<int64_t, 3> kProductSizes[] = {
    {1, 1, 1},     {1, 131, 67},  {2, 64, 96},   {3, 37, 1},    {5, 29, 31},   {7, 17, 333},
    {13, 200, 64}, {16, 48, 128}, {31, 97, 129}, {61, 33, 700}, {101, 203, 47}};

TEST(CpuMatmulSizes) {
  std::vector<StepCase> cases;
  for (const auto& [m, n, k] : kProductSizes) {
    for (const DType dtype : kReals) cases.push_back(Matmul(m, n, k, dtype, dtype, dtype));
    cases.push_back(Matmul(m, n, k, DType::kF32, DType::kBF16, DType::kF32));
    cases.push_back(Matmul(m, n, k, DType::kBF16, DType::kF32, DType::kBF16));
    cases.push_back(Matmul(m, n, k, DType::kF16, DType::kBF16, DType::kF32));
  }
  CheckAll(cases);
}

TEST(CpuMatmulViewsAndSchedules) {
  std::vector<StepCase> cases;
  for (const DType dtype : kReals) {
    StepCase view = Matmul(19, 53, 71, dtype, dtype, dtype);
    view.name += " views";
    view.operands[0]->gap = 5;
    view.out.gap = 3;
    cases.push_back(view);
    for (const auto& [splits, block] :
         std::vector<std::array<double, 2>>{{3, 1000}, {1, 64}, {4, 33}}) {
      StepCase split = Matmul(11, 41, 211, dtype, dtype, dtype);
      split.name += Message(" splits ", splits, " block ", block);
      split.attrs = {splits, block, 0, 0};
      cases.push_back(split);
    }
    StepCase without = Matmul(9, 20, 32, dtype, dtype, DType::kF32);
    without.operands[2].reset();
    cases.push_back(without);
  }
  CheckAll(cases);
}

// The product by seven of its halves. Terms of one are at most 4, and an output is made of up to
// four of them.
StepCase Strassen(StepCase step) {
  step.name += " strassen";
  step.attrs[2] = 1;
  step.tolerance *= 8;
  return step;
}

// Halves of rows in none, some and whole blocks and tiles; terms in one pass, in several, in a last
// one that is shorter; outputs in one pair of panels, in several blocks, in an odd number of
// panels.
TEST(CpuStrassen) {
  constexpr std::array<int64_t, 3> kSizes[] = {{2, 32, 32},   {6, 96, 32},    {26, 64, 96},
                                               {50, 160, 64}, {114, 288, 32}, {278, 96, 64},
                                               {34, 96, 448}, {26, 352, 928}};
  std::vector<StepCase> cases;
  for (const auto& [m, n, k] : kSizes) {
    for (const DType dtype : kReals)
      cases.push_back(Strassen(Matmul(m, n, k, dtype, dtype, dtype)));
    cases.push_back(Strassen(Matmul(m, n, k, DType::kF32, DType::kBF16, DType::kF32)));
    cases.push_back(Strassen(Matmul(m, n, k, DType::kBF16, DType::kF32, DType::kF16)));
  }
  for (const DType dtype : kReals) {
    StepCase view = Strassen(Matmul(38, 160, 96, dtype, dtype, dtype));
    view.name += " views";
    view.operands[0]->gap = 5;
    view.out.gap = 3;
    view.epilogue = {{Epilogue::kMul, TensorSpec{{160}, dtype}, 0},
                     {Epilogue::kAdd, TensorSpec{{38, 160}, dtype}, 0}};
    cases.push_back(view);
    StepCase without = Strassen(Matmul(14, 64, 160, dtype, dtype, DType::kF32));
    without.operands[2].reset();
    cases.push_back(without);
  }
  CheckAll(cases);
}

TEST(CpuEpilogues) {
  std::vector<StepCase> cases;
  const int64_t m = 13, n = 37;
  for (const DType dtype : kReals) {
    for (int op = 0; op <= static_cast<int>(Epilogue::kExp); ++op) {
      const auto epilogue = static_cast<Epilogue>(op);
      const bool operand = epilogue <= Epilogue::kPrelu;
      StepCase step = Matmul(m, n, 29, DType::kF32, DType::kF32, dtype);
      step.name += Message(" epilogue ", op);
      step.tolerance = 4 * SumTolerance(29);
      if (!operand) {
        step.epilogue = {{epilogue, {}, epilogue <= Epilogue::kLeakyRelu ? 0.3 : 0}};
        if (epilogue == Epilogue::kExp) step.tolerance *= 100;  // e^5
        cases.push_back(step);
        continue;
      }
      for (const Shape& shape : {Shape{m, n}, Shape{n}, Shape{1}, Shape{m * n}}) {
        for (const int64_t gap : {0, 3}) {
          if (gap > 0 && shape.size() != 2) continue;
          for (const Place place : {Place::kRow, Place::kParam}) {
            if (place == Place::kParam && gap > 0) continue;
            StepCase each = step;
            each.name += Message(" over ", std::span<const int64_t>(shape), " gap ", gap);
            each.epilogue = {{epilogue, TensorSpec{shape, dtype, place, gap}, 0}};
            cases.push_back(each);
          }
        }
      }
    }
    // A long chain, as a gated residual after an activation has.
    StepCase chain = Matmul(m, n, 29, dtype, dtype, dtype);
    chain.name += " chain";
    chain.tolerance = 16 * SumTolerance(29);
    chain.epilogue = {{Epilogue::kGeluTanh, {}, 0},
                      {Epilogue::kScale, {}, 0.5},
                      {Epilogue::kMul, TensorSpec{{n}, dtype}, 0},
                      {Epilogue::kMulOnePlus, TensorSpec{{n}, DType::kF32}, 0},
                      {Epilogue::kAdd, TensorSpec{{m, n}, dtype}, 0},
                      {Epilogue::kTanh, {}, 0}};
    cases.push_back(chain);
  }
  CheckAll(cases);
}

struct ConvShape {
  int64_t h, w, c, o, kh, kw, stride_h, stride_w, top, left, bottom, right;
};

StepCase Conv2d(const ConvShape& s, DType x, DType weight, DType out) {
  const int64_t k = s.kh * s.kw * s.c;
  const int64_t out_h = (s.h + s.top + s.bottom - s.kh) / s.stride_h + 1;
  const int64_t out_w = (s.w + s.left + s.right - s.kw) / s.stride_w + 1;
  std::vector<double> attrs;
  for (const int64_t a : {s.kh, s.kw, s.stride_h, s.stride_w, s.top, s.left, s.bottom, s.right}) {
    attrs.push_back(static_cast<double>(a));
  }
  attrs.insert(attrs.end(), {1, static_cast<double>(k), 1, 0, 0});
  return {Message("conv2d ", s.h, "x", s.w, "x", s.c, " to ", s.o, " kernel ", s.kh, "x", s.kw,
                  " stride ", s.stride_h, " ", Text(x), " ", Text(weight)),
          Kernel::kConv2d,
          {TensorSpec{{s.h, s.w, s.c}, x}, TensorSpec{{s.o, s.kh, s.kw, s.c}, weight, Place::kGemm},
           TensorSpec{{s.o}, weight, Place::kParam}},
          {{out_h, out_w, s.o}, out},
          attrs,
          {},
          SumTolerance(k)};
}

TEST(CpuConv2d) {
  const std::vector<ConvShape> shapes = {
      {5, 7, 3, 5, 3, 3, 1, 1, 1, 1, 1, 1},
      {6, 5, 16, 9, 3, 3, 1, 1, 1, 1, 1, 1},
      {9, 8, 17, 33, 3, 3, 2, 2, 1, 1, 1, 1},
      {8, 8, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1},
      {7, 7, 32, 3, 1, 1, 1, 1, 0, 0, 0, 0},
      {4, 6, 4, 24, 2, 2, 2, 2, 0, 0, 0, 0},
      {11, 3, 20, 7, 3, 1, 2, 1, 0, 0, 1, 1},
      {1, 1, 40, 8, 3, 3, 1, 1, 1, 1, 1, 1},
      {6, 6, 350, 10, 3, 3, 1, 1, 1, 1, 1, 1},
      {8, 9, 24, 40, 5, 3, 1, 2, 2, 1, 2, 1},
      // Rows of matrix tiles that lie where they are, at borders do not, and passes that end in a
      // tap.
      {7, 18, 64, 40, 3, 3, 1, 1, 1, 1, 1, 1},
      {18, 35, 96, 20, 3, 3, 2, 2, 0, 0, 1, 1},
      {6, 17, 224, 24, 3, 3, 1, 1, 1, 1, 1, 1},
      // One tap that lies in the padding: below and to the right, above, and to the left.
      {4, 4, 20, 6, 1, 1, 1, 1, 0, 0, 1, 1},
      {5, 3, 16, 7, 1, 1, 2, 2, 0, 0, 2, 1},
      {4, 3, 17, 9, 1, 1, 1, 1, 2, 0, 0, 0},
      {3, 4, 8, 5, 1, 1, 1, 1, 0, 1, 0, 0},
  };
  std::vector<StepCase> cases;
  for (const ConvShape& shape : shapes) {
    for (const DType dtype : kReals) cases.push_back(Conv2d(shape, dtype, dtype, dtype));
    cases.push_back(Conv2d(shape, DType::kF32, DType::kBF16, DType::kF32));
    cases.push_back(Conv2d(shape, DType::kBF16, DType::kF32, DType::kF32));
    StepCase view = Conv2d(shape, DType::kF32, DType::kF32, DType::kF32);
    view.name += " views";
    view.operands[0]->gap = 2;
    view.out.gap = 1;
    view.attrs[8] = 3;  // partial sums
    view.epilogue = {{Epilogue::kRelu, {}, 0}, {Epilogue::kAdd, TensorSpec{view.out.shape}, 0}};
    cases.push_back(view);
    StepCase narrow = Conv2d(shape, DType::kBF16, DType::kBF16, DType::kBF16);
    narrow.name += " views";
    narrow.operands[0]->gap = 3;
    narrow.attrs[9] = 64;
    cases.push_back(narrow);
  }
  CheckAll(cases);
}

// A 3x3 convolution of stride 1 in a form: `upsample` and tile m, padded by 1 or as said.
StepCase FormedConv2d(int64_t h, int64_t w, int64_t c, int64_t o, double upsample, double tile,
                      DType x, DType weight) {
  const auto up = static_cast<int64_t>(upsample);
  StepCase step = Conv2d({up * h, up * w, c, o, 3, 3, 1, 1, 1, 1, 1, 1}, x, weight, x);
  step.name += Message(" upsample ", up, " tile ", static_cast<int64_t>(tile));
  step.operands[0]->shape = {h, w, c};
  if (up == 2 && tile == 0) step.operands[1]->place = Place::kUpsample;
  step.attrs[10] = upsample;
  step.attrs[11] = tile;
  // F(4 x 4) has about twice the error of a plain sum, whatever its length; outliers are rarer in
  // long sums. Folded weights are rounded to their type after they are added up.
  if (tile == 4) step.tolerance = 4 * step.tolerance + 16 * kEpsilon;
  if (up == 2 && tile == 0 && weight != DType::kF32) {
    step.tolerance += (weight == DType::kBF16 ? 0x1p-8 : 0x1p-11) * static_cast<double>(9 * c);
  }
  return step;
}

TEST(CpuConv2dForms) {
  std::vector<StepCase> cases;
  for (const auto& [upsample, tile] :
       std::vector<std::array<double, 2>>{{1, 2}, {1, 4}, {2, 0}, {2, 2}}) {
    for (const auto& [h, w, c, o] : std::vector<std::array<int64_t, 4>>{{1, 1, 1, 1},
                                                                        {1, 9, 5, 3},
                                                                        {2, 2, 16, 16},
                                                                        {5, 7, 33, 17},
                                                                        {8, 8, 64, 40},
                                                                        {13, 6, 70, 67},
                                                                        {17, 19, 20, 37},
                                                                        {4, 4, 200, 9}}) {
      cases.push_back(FormedConv2d(h, w, c, o, upsample, tile, DType::kF32, DType::kF32));
    }
    for (const auto& [x, weight] : std::vector<std::array<DType, 2>>{{DType::kF32, DType::kBF16},
                                                                     {DType::kF32, DType::kF16},
                                                                     {DType::kBF16, DType::kF32},
                                                                     {DType::kBF16, DType::kBF16},
                                                                     {DType::kF16, DType::kF16}}) {
      cases.push_back(FormedConv2d(7, 5, 19, 21, upsample, tile, x, weight));
      cases.push_back(FormedConv2d(6, 9, 64, 32, upsample, tile, x, weight));
    }
    StepCase view = FormedConv2d(6, 11, 24, 20, upsample, tile, DType::kF32, DType::kF32);
    view.name += " views";
    view.operands[0]->gap = 2;
    view.out.gap = 3;
    view.epilogue = {{Epilogue::kRelu, {}, 0}, {Epilogue::kAdd, TensorSpec{view.out.shape}, 0}};
    cases.push_back(view);
  }
  // Other paddings, and more channels than a pass takes.
  for (const double tile : {2.0, 4.0}) {
    StepCase padded =
        Conv2d({9, 6, 40, 33, 3, 3, 1, 1, 2, 0, 0, 3}, DType::kF32, DType::kF32, DType::kF32);
    padded.name += Message(" padded, tile ", static_cast<int64_t>(tile));
    padded.attrs[11] = tile;
    padded.tolerance *= 4;
    cases.push_back(padded);
  }
  CheckAll(cases);
}

// The step over weights in i8, whose x is quantised too or not. Sums of integers are exact: what is
// left are a few roundings of the result; of weights alone, whose integers are up to 127, the sums
// of float32 before their scale is on them.
StepCase Int8(StepCase step, int sums) {
  step.name += sums > 0 ? Message(" int8, sums of ", sums, " bits") : " int8 weights";
  step.operands[1]->dtype = sums == 16 ? DType::kI8Sums16 : DType::kI8;
  if (step.operands[2]) step.operands[2]->dtype = DType::kF32;
  step.attrs.back() = sums;
  return step;
}

TEST(CpuInt8Matmul) {
  std::vector<StepCase> cases;
  std::vector<std::array<int64_t, 3>> sizes(std::begin(kProductSizes), std::end(kProductSizes));
  sizes.push_back({33, 40, 2048});  // vectors that would fall into few sets of a cache
  for (const int sums : {32, 16, 0}) {
    for (const auto& [m, n, k] : sizes) {
      for (const DType dtype : kReals) {
        cases.push_back(Int8(Matmul(m, n, k, dtype, DType::kF32, dtype), sums));
      }
    }
    StepCase view = Int8(Matmul(19, 53, 71, DType::kF32, DType::kF32, DType::kF32), sums);
    view.name += " views";
    view.operands[0]->gap = 5;
    view.out.gap = 3;
    view.epilogue = {{Epilogue::kGelu, {}, 0}, {Epilogue::kAdd, TensorSpec{view.out.shape}, 0}};
    cases.push_back(view);
    StepCase without = Int8(Matmul(9, 20, 32, DType::kF32, DType::kF32, DType::kF32), sums);
    without.operands[2].reset();
    cases.push_back(without);
    // One scale for every vector: values of very different size beside each other.
    StepCase large = without;
    large.name += " large";
    large.operands[0]->low = -1e6;
    large.operands[0]->high = 1e3;
    large.tolerance *= 1e6;
    cases.push_back(large);
    // All products are as large as they get, with one sign: sums of 16 bits must hold four.
    for (const double sign : {1.0, -1.0}) {
      StepCase full = without;
      full.name += Message(" full ", sign);
      full.operands[0]->low = 0.99;
      full.operands[0]->high = 1;
      full.operands[1]->low = std::min(sign * 0.99, sign);
      full.operands[1]->high = std::max(sign * 0.99, sign);
      full.tolerance *= 8;
      cases.push_back(full);
    }
  }
  CheckAll(cases);
}

TEST(CpuInt8Conv2d) {
  const std::vector<ConvShape> shapes = {
      {6, 5, 16, 9, 3, 3, 1, 1, 1, 1, 1, 1},     {9, 8, 20, 33, 3, 3, 2, 2, 1, 1, 1, 1},
      {8, 8, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1},    {7, 7, 32, 3, 1, 1, 1, 1, 0, 0, 0, 0},
      {4, 6, 4, 24, 2, 2, 2, 2, 0, 0, 0, 0},     {11, 3, 20, 7, 3, 1, 2, 1, 0, 0, 1, 1},
      {1, 1, 40, 8, 3, 3, 1, 1, 1, 1, 1, 1},     {6, 6, 352, 10, 3, 3, 1, 1, 1, 1, 1, 1},
      {8, 9, 24, 40, 5, 3, 1, 2, 2, 1, 2, 1},    {4, 4, 20, 6, 1, 1, 1, 1, 0, 0, 1, 1},
      {17, 19, 128, 37, 3, 3, 1, 1, 1, 1, 1, 1},
  };
  std::vector<StepCase> cases;
  for (const ConvShape& shape : shapes) {
    for (const int sums : {32, 16, 0}) {
      for (const DType dtype : kReals) {
        cases.push_back(Int8(Conv2d(shape, dtype, DType::kF32, dtype), sums));
      }
      StepCase view = Int8(Conv2d(shape, DType::kF32, DType::kF32, DType::kF32), sums);
      view.name += " views";
      view.operands[0]->gap = 2;
      view.out.gap = 1;
      view.epilogue = {{Epilogue::kRelu, {}, 0}, {Epilogue::kAdd, TensorSpec{view.out.shape}, 0}};
      cases.push_back(view);
    }
  }
  // Weights alone in any form that takes plain ones, of any number of channels.
  for (const auto& [upsample, tile] :
       std::vector<std::array<double, 2>>{{1, 0}, {1, 2}, {1, 4}, {2, 2}}) {
    cases.push_back(Int8(FormedConv2d(9, 7, 33, 21, upsample, tile, DType::kF32, DType::kF32), 0));
    cases.push_back(Int8(FormedConv2d(6, 9, 70, 32, upsample, tile, DType::kBF16, DType::kF32), 0));
  }
  CheckAll(cases);
}

StepCase Attention(int64_t queries, int64_t keys, int64_t heads, int64_t dim, bool causal,
                   DType dtype) {
  const double scale = 1 / std::sqrt(static_cast<double>(dim));
  const TensorSpec q{{queries, heads * dim}, dtype, Place::kRow, 0, -2, 2};
  const TensorSpec k{{keys, heads * dim}, dtype, Place::kRow, 0, -2, 2};
  const TensorSpec v{{keys, heads * dim}, dtype};
  // Scores up to 4 K scale carry an error of epsilon K each, which the exponential makes relative
  // to values below 1. Tiles take probabilities in bf16: half a unit in the last place of each,
  // of values of at most 1.
  return {Message("attention ", queries, "x", keys, " heads ", heads, "x", dim,
                  causal ? " causal " : " ", Text(dtype)),
          Kernel::kAttention,
          {q, k, v, std::nullopt},
          {{queries, heads * dim}, dtype},
          {static_cast<double>(heads), causal ? 1.0 : 0.0, scale, 64},
          {},
          kEpsilon * (8 * std::sqrt(static_cast<double>(dim)) + static_cast<double>(keys) + 16),
          dtype == DType::kBF16 ? 0x1p-9 : 0};
}

TEST(CpuAttention) {
  std::vector<StepCase> cases;
  for (const DType dtype : kReals) {
    cases.push_back(Attention(1, 1, 1, 8, false, dtype));
    cases.push_back(Attention(16, 16, 2, 32, false, dtype));
    cases.push_back(Attention(77, 77, 3, 64, true, dtype));
    cases.push_back(Attention(131, 131, 1, 40, true, dtype));
    cases.push_back(Attention(67, 8, 2, 72, false, dtype));
    cases.push_back(Attention(5, 200, 2, 80, false, dtype));
    cases.push_back(Attention(70, 65, 1, 160, false, dtype));
    cases.push_back(Attention(9, 67, 1, 512, false, dtype));
    cases.push_back(Attention(13, 29, 2, 7, false, dtype));
    // More than one job a head on any number of threads, several heads in one.
    cases.push_back(Attention(600, 40, 3, 40, false, dtype));
    for (const DType length : {DType::kI32, DType::kI64}) {
      StepCase bounded = Attention(33, 150, 2, 24, length == DType::kI64, dtype);
      if (length == DType::kI64) bounded = Attention(150, 150, 2, 24, true, dtype);
      bounded.name += " lengths";
      bounded.operands[3] = TensorSpec{{1}, length, Place::kRow, 0, 0, 150};
      cases.push_back(bounded);
    }
    StepCase joined = Attention(37, 37, 2, 24, false, dtype);
    joined.name += " joined";
    for (size_t i = 0; i < 3; ++i) joined.operands[i]->gap = 96;
    joined.out.gap = 7;
    joined.attrs[3] = 16;
    joined.epilogue = {{Epilogue::kAdd, TensorSpec{joined.out.shape, dtype}, 0}};
    cases.push_back(joined);
    StepCase none = Attention(9, 20, 1, 16, false, dtype);
    none.name += " no keys";
    none.operands[3] = TensorSpec{{1}, DType::kI32, Place::kRow, 0, 0, 0.5};
    cases.push_back(none);
  }
  CheckAll(cases);
}

// x in [-1, 1] with deviations near 0.58: an error of the mean is multiplied by 2 at most.
StepCase Norm(Kernel kernel, int64_t m, int64_t n, std::vector<double> attrs, DType dtype,
              int64_t gap) {
  const size_t affine = kernel == Kernel::kRmsNorm ? 1 : kernel == Kernel::kSoftmax ? 0 : 2;
  StepCase step{
      Message("norm ", static_cast<int>(kernel), " ", m, "x", n, " ", Text(dtype), " gap ", gap),
      kernel,
      {TensorSpec{{m, n}, dtype, Place::kRow, gap}},
      {{m, n}, dtype, Place::kRow, gap},
      std::move(attrs),
      {},
      kEpsilon * 64};
  for (size_t i = 0; i < affine; ++i)
    step.operands.push_back(TensorSpec{{n}, dtype, Place::kParam});
  return step;
}

TEST(CpuNorms) {
  std::vector<StepCase> cases;
  for (const DType dtype : kReals) {
    for (const int64_t n : {1, 2, 5, 16, 33, 64, 100, 1152}) {
      for (const int64_t gap : {0, 3}) {
        cases.push_back(Norm(Kernel::kLayerNorm, 7, n, {1e-5}, dtype, gap));
        cases.push_back(Norm(Kernel::kRmsNorm, 3, n, {1e-6}, dtype, gap));
        cases.push_back(Norm(Kernel::kSoftmax, 5, n, {}, dtype, gap));
      }
    }
    StepCase modulated = Norm(Kernel::kLayerNorm, 16, 72, {1e-6}, dtype, 0);
    modulated.name += " modulated";
    modulated.operands[1].reset();
    modulated.operands[2].reset();
    modulated.epilogue = {{Epilogue::kMulOnePlus, TensorSpec{{72}, dtype}, 0},
                          {Epilogue::kAdd, TensorSpec{{72}, dtype}, 0}};
    cases.push_back(modulated);
    for (const auto& [pixels, channels, groups, block] : std::vector<std::array<int64_t, 4>>{
             {1, 4, 2, 1}, {35, 12, 3, 4}, {64, 32, 32, 64}, {99, 64, 8, 16}, {49, 33, 1, 1000}}) {
      for (const int64_t gap : {0, 5}) {
        StepCase group =
            Norm(Kernel::kGroupNorm, pixels, channels,
                 {static_cast<double>(groups), 1e-5, static_cast<double>(block)}, dtype, gap);
        group.epilogue = {{Epilogue::kSilu, {}, 0}};
        cases.push_back(group);
      }
    }
  }
  CheckAll(cases);
}

TEST(CpuElementwise) {
  std::vector<StepCase> cases;
  for (const DType from : kReals) {
    for (const DType to : kReals) {
      for (const auto& [m, n] :
           std::vector<std::array<int64_t, 2>>{{1, 1}, {3, 5}, {7, 129}, {40, 517}, {1, 5000}}) {
        for (const int64_t gap : {0, 1}) {
          StepCase step{
              Message("elementwise ", m, "x", n, " ", Text(from), " ", Text(to), " gap ", gap),
              Kernel::kElementwise,
              {TensorSpec{{m, n}, from, Place::kRow, gap, -3, 3}},
              {{m, n}, to, Place::kRow, gap},
              {},
              {},
              0};
          cases.push_back(step);
          step.name += " chain";
          step.tolerance = kEpsilon * 16;
          step.epilogue = {{Epilogue::kQuickGelu, {}, 0},
                           {Epilogue::kAdd, TensorSpec{{m, n}, from}, 0},
                           {Epilogue::kMul, TensorSpec{{1}, to}, 0}};
          cases.push_back(step);
          step.epilogue.push_back({Epilogue::kPrelu, TensorSpec{{n}, from, Place::kParam}, 0});
          step.name += " channels";
          cases.push_back(step);
        }
      }
    }
  }
  for (const DType integer : {DType::kI32, DType::kI64, DType::kU8}) {
    cases.push_back({Message("elementwise integers ", static_cast<int>(integer)),
                     Kernel::kElementwise,
                     {TensorSpec{{5, 7}, integer, Place::kRow, 0, 0, 200}},
                     {{5, 7}, DType::kF32},
                     {},
                     {},
                     0});
    cases.push_back({Message("elementwise integer copy ", static_cast<int>(integer)),
                     Kernel::kElementwise,
                     {TensorSpec{{5, 7}, integer, Place::kRow, 0, 0, 200}},
                     {{5, 7}, integer},
                     {},
                     {},
                     0});
  }
  CheckAll(cases);
}

TEST(CpuCopies) {
  std::vector<StepCase> cases;
  for (const DType dtype : kReals) {
    for (const DType to : {dtype, DType::kF32}) {
      for (const int64_t gap : {0, 2}) {
        const std::string name = Message(" ", Text(dtype), " ", Text(to), " gap ", gap);
        cases.push_back({"embedding" + name,
                         Kernel::kEmbedding,
                         {TensorSpec{{11}, DType::kI32, Place::kRow, 0, 0, 17},
                          TensorSpec{{17, 29}, dtype, Place::kParam}},
                         {{11, 29}, to, Place::kRow, gap},
                         {},
                         {},
                         0});
        StepCase positions = cases.back();
        positions.name += " positions";
        positions.operands[0]->dtype = DType::kI64;
        positions.epilogue = {{Epilogue::kAdd, TensorSpec{{11, 29}, dtype, Place::kParam}, 0}};
        cases.push_back(positions);
        cases.push_back({"nearest" + name,
                         Kernel::kResizeNearest,
                         {TensorSpec{{5, 7, 19}, dtype, Place::kRow, gap}},
                         {{10, 9, 19}, to, Place::kRow, gap},
                         {},
                         {},
                         0});
        for (const double corners : {0.0, 1.0}) {
          cases.push_back({Message("bilinear ", corners, name),
                           Kernel::kResizeBilinear,
                           {TensorSpec{{5, 7, 19}, dtype, Place::kRow, gap}},
                           {{11, 4, 19}, to, Place::kRow, gap},
                           {corners},
                           {{Epilogue::kRelu, {}, 0}},
                           kEpsilon * 16});
        }
        // Transpose [6, 35] -> [35, 6], patches of 2 x 2 from [4, 6, 5], and a slice walked
        // backwards.
        cases.push_back({"transpose" + name,
                         Kernel::kStridedCopy,
                         {TensorSpec{{6, 35}, dtype}},
                         {{35, 6}, to, Place::kRow, gap},
                         {0, 2, 35, 6, 1, 35},
                         {},
                         0});
        cases.push_back({"patches" + name,
                         Kernel::kStridedCopy,
                         {TensorSpec{{4, 6, 5}, dtype}},
                         {{6, 20}, to, Place::kRow, gap},
                         {0, 5, 2, 3, 2, 2, 5, 60, 10, 30, 5, 1},
                         {},
                         0});
        cases.push_back({"backwards" + name,
                         Kernel::kStridedCopy,
                         {TensorSpec{{50}, dtype}},
                         {{3, 7}, to, Place::kRow, gap},
                         {48, 2, 3, 7, -16, -2},
                         {{Epilogue::kScale, {}, 2.0}},
                         kEpsilon});
        cases.push_back({"slice" + name,
                         Kernel::kStridedCopy,
                         {TensorSpec{{300, 100}, dtype}},
                         {{290, 90}, to, Place::kRow, gap},
                         {303, 2, 290, 90, 100, 1},
                         {},
                         0});
      }
    }
  }
  cases.push_back({"transpose ids",
                   Kernel::kStridedCopy,
                   {TensorSpec{{6, 5}, DType::kI64, Place::kRow, 0, 0, 99}},
                   {{5, 6}, DType::kI64},
                   {0, 2, 5, 6, 1, 5},
                   {},
                   0});
  CheckAll(cases);
}

TEST(CpuTimestepEmbedding) {
  std::vector<StepCase> cases;
  for (const DType dtype : kReals) {
    for (const auto& [dim, flip, shift] :
         std::vector<std::array<double, 3>>{{256, 1, 0}, {256, 0, 1}, {7, 0, 1}, {2, 1, 0}}) {
      const auto columns = static_cast<int64_t>(dim);
      // Angles up to 50 in float32.
      cases.push_back({Message("timestep ", dim, " ", Text(dtype)),
                       Kernel::kTimestepEmbedding,
                       {TensorSpec{{1}, DType::kF32, Place::kRow, 0, 0, 50}},
                       {{1, columns}, dtype},
                       {flip, shift, 1, 10000},
                       {},
                       kEpsilon * 50 * 3});
    }
  }
  CheckAll(cases);
}

TEST(CpuRejects) {
  for (const std::string& family : RunningFamilies()) {
    Result<std::unique_ptr<Device>> device = OpenCpuDevice({family, 1});
    StepCase ids{"ids",
                 Kernel::kEmbedding,
                 {TensorSpec{{3}, DType::kI32, Place::kRow, 0, 17, 18},
                  TensorSpec{{17, 4}, DType::kF32, Place::kParam}},
                 {{3, 4}},
                 {},
                 {},
                 0};
    CHECK_STATUS(RunCase(*device.value(), ids, 0, 1).status, Code::kInvalidArgument,
                 "expected ids from 0 to 16, got 17");
    StepCase lengths = Attention(3, 4, 1, 8, false, DType::kF32);
    lengths.operands[3] = TensorSpec{{1}, DType::kI32, Place::kRow, 0, 5, 6};
    CHECK_STATUS(RunCase(*device.value(), lengths, 0, 1).status, Code::kInvalidArgument,
                 "kvLength from 0 to 4, got 5");
  }
  CHECK_STATUS(OpenCpuDevice({"sse9", 1}).status(), Code::kInvalidOption, "got \"sse9\"");
  CHECK_STATUS(OpenCpuDevice({"auto", -1}).status(), Code::kInvalidOption, "got -1");
}

}  // namespace
}  // namespace irodori::test

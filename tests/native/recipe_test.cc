// Recipes: values by hand, and each malformed form refused.
#include "native/core/recipe.h"

#include <cstring>
#include <random>

#include "native/core/float_types.h"
#include "tests/native/check.h"
#include "tests/native/program_writer.h"
#include "tests/native/temporary_file.h"

namespace irodori::test {
namespace {

class RecipeWriter : public ByteWriter {
 public:
  RecipeWriter() {
    Number(kRecipeMagic);
    Number(kRecipeVersion);
  }
  RecipeWriter& Tensor(uint32_t source, int64_t begin, int64_t end, DType dtype,
                       const Shape& shape) {
    Op(RecipeOp::kTensor);
    Number(source);
    Number(begin);
    Number(end);
    Number(static_cast<uint8_t>(dtype));
    WriteShape(shape);
    return *this;
  }
  // Values first, first + 1, ...
  RecipeWriter& Count(float first, const Shape& shape) {
    Op(RecipeOp::kLiteral);
    WriteShape(shape);
    for (int64_t i = 0; i < Elements(shape); ++i) Number(first + static_cast<float>(i));
    return *this;
  }
  RecipeWriter& Slice(uint32_t axis, int64_t start, int64_t size) {
    Op(RecipeOp::kSlice);
    Number(axis);
    Number(start);
    Number(size);
    return *this;
  }
  RecipeWriter& Concat(uint32_t count, uint32_t axis) {
    Op(RecipeOp::kConcat);
    Number(count);
    Number(axis);
    return *this;
  }
  RecipeWriter& Reshape(const Shape& shape) {
    Op(RecipeOp::kReshape);
    WriteShape(shape);
    return *this;
  }
  RecipeWriter& Permute(const std::vector<uint32_t>& order) {
    Op(RecipeOp::kPermute);
    Number(static_cast<uint32_t>(order.size()));
    for (const uint32_t axis : order) Number(axis);
    return *this;
  }
  RecipeWriter& AddLowRank(float scale) {
    Op(RecipeOp::kAddLowRank);
    Number(scale);
    return *this;
  }

 private:
  void Op(RecipeOp op) { Number(static_cast<uint8_t>(op)); }
};

using Sources = std::vector<std::shared_ptr<const SourceFile>>;

void Gives(int line, const RecipeWriter& recipe, const Shape& shape,
           const std::vector<double>& want, const Sources& sources = {}) {
  const Result<HostTensor> got = EvaluateRecipe(recipe.bytes(), sources);
  CheckStatus(__FILE__, line, got.status(), Code::kOk, "");
  if (!got.ok()) return;
  if (got.value().shape != shape)
    Fail(__FILE__, line,
         Message("want another shape than ", std::span<const int64_t>(got.value().shape)));
  CheckNear(__FILE__, line, got.value().data, want, 0);
}
#define GIVES(...) Gives(__LINE__, __VA_ARGS__)
#define REFUSES(part, recipe) \
  CHECK_STATUS(EvaluateRecipe((recipe).bytes(), {}).status(), Code::kInvalidArgument, part)

TEST(RecipeOps) {
  GIVES(RecipeWriter().Count(1, {2, 2}), {2, 2}, {1, 2, 3, 4});
  GIVES(RecipeWriter().Count(5, {}), {}, {5});
  GIVES(RecipeWriter().Count(0, {3, 4}).Slice(0, 1, 2), {2, 4}, {4, 5, 6, 7, 8, 9, 10, 11});
  GIVES(RecipeWriter().Count(0, {3, 4}).Slice(1, 1, 2), {3, 2}, {1, 2, 5, 6, 9, 10});
  GIVES(RecipeWriter().Count(0, {2, 3, 2}).Slice(1, 2, 1), {2, 1, 2}, {4, 5, 10, 11});
  GIVES(RecipeWriter().Count(0, {1, 2}).Count(10, {2, 2}).Concat(2, 0), {3, 2},
        {0, 1, 10, 11, 12, 13});
  GIVES(RecipeWriter().Count(0, {2, 1}).Count(10, {2, 2}).Count(20, {2, 1}).Concat(3, 1), {2, 4},
        {0, 10, 11, 20, 1, 12, 13, 21});
  GIVES(RecipeWriter().Count(7, {1}).Count(0, {2}).Concat(1, 0).Concat(2, 0), {3}, {7, 0, 1});
  GIVES(RecipeWriter().Count(0, {2, 3}).Reshape({3, 1, 2}), {3, 1, 2}, {0, 1, 2, 3, 4, 5});
  GIVES(RecipeWriter().Count(0, {2, 3}).Permute({1, 0}), {3, 2}, {0, 3, 1, 4, 2, 5});
  // OIHW to OHWI
  GIVES(RecipeWriter().Count(0, {2, 2, 1, 3}).Permute({0, 2, 3, 1}), {2, 1, 3, 2},
        {0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11});
  GIVES(RecipeWriter().Count(3, {}).Permute({}), {}, {3});
  // W + 0.5 · up · down, of rank 1, and of a rank that is no multiple of four.
  GIVES(RecipeWriter().Count(0, {2, 2}).Count(1, {2, 1}).Count(3, {1, 2}).AddLowRank(0.5F), {2, 2},
        {1.5, 3, 5, 7});
  GIVES(RecipeWriter().Count(0, {1, 1, 2}).Count(0, {1, 5}).Count(0, {5, 1, 2}).AddLowRank(1),
        {1, 1, 2}, {60, 71});
  GIVES(RecipeWriter().Count(0, {2}).Count(1, {2, 1}).Count(3, {1}).AddLowRank(-1), {2}, {-3, -5});
}

// Every op at a size that takes several stretches, against the definition.
TEST(RecipeStretches) {
  constexpr int64_t kRows = 40, kChannels = 500, kTaps = 9;
  constexpr int64_t kSize = kRows * kChannels * kTaps;
  static_assert(kSize > 2 * kStretchValues);
  const auto value = [](int64_t row, int64_t channel, int64_t tap) {
    return static_cast<double>((row * kChannels + channel) * kTaps + tap);
  };
  std::vector<double> ohwi, turned, middle, beside;
  for (int64_t o = 0; o < kRows; ++o) {
    for (int64_t t = 0; t < kTaps; ++t)
      for (int64_t i = 0; i < kChannels; ++i) ohwi.push_back(value(o, i, t));
    for (int64_t i = 7; i < 7 + 490; ++i)
      for (int64_t t = 0; t < kTaps; ++t) middle.push_back(value(o, i, t));
    for (int part = 0; part < 2; ++part)
      for (int64_t i = 0; i < kChannels; ++i)
        for (int64_t t = 0; t < kTaps; ++t) beside.push_back(value(o, i, t));
  }
  for (int64_t i = 0; i < kChannels; ++i)
    for (int64_t t = 0; t < kTaps; ++t)
      for (int64_t o = 0; o < kRows; ++o) turned.push_back(value(o, i, t));
  const RecipeWriter all = RecipeWriter().Count(0, {kRows, kChannels, 3, 3});
  GIVES(RecipeWriter(all).Permute({0, 2, 3, 1}), {kRows, 3, 3, kChannels}, ohwi);
  GIVES(RecipeWriter(all).Permute({1, 2, 3, 0}), {kChannels, 3, 3, kRows}, turned);
  GIVES(RecipeWriter(all).Slice(1, 7, 490), {kRows, 490, 3, 3}, middle);
  GIVES(RecipeWriter(all).Count(0, {kRows, kChannels, 3, 3}).Concat(2, 1),
        {kRows, 2 * kChannels, 3, 3}, beside);
  // Slices whose blocks are larger than a stretch, and blocks that are read in part.
  GIVES(RecipeWriter(all).Reshape({2, kSize / 2}).Slice(1, 1000, 3), {2, 3},
        {1000, 1001, 1002, kSize / 2 + 1000.0, kSize / 2 + 1001.0, kSize / 2 + 1002.0});
  GIVES(RecipeWriter(all).Permute({0, 2, 3, 1}).Reshape({kSize}).Slice(0, 4700, 2), {2},
        {value(1, 200, 0), value(1, 201, 0)});
  // up[o, r] = 2 o + r and down[r, i, t] = (r · channels + i) · taps + t
  std::vector<double> summed;
  for (int64_t o = 0; o < kRows; ++o)
    for (int64_t i = 0; i < kChannels; ++i)
      for (int64_t t = 0; t < kTaps; ++t) {
        const double sum = value(o, i, t) + static_cast<double>(2 * o) * value(0, i, t) +
                           static_cast<double>(2 * o + 1) * value(1, i, t);
        summed.push_back(static_cast<float>(sum));
      }
  GIVES(RecipeWriter(all).Count(0, {kRows, 2}).Count(0, {2, kChannels, 3, 3}).AddLowRank(1),
        {kRows, kChannels, 3, 3}, summed);
}

// Threads that read parts of one recipe at a time get what one that reads it all gets.
TEST(RecipeIsReadInParts) {
  const RecipeWriter recipe = RecipeWriter().Count(0, {300, 20, 3, 3}).Permute({0, 2, 3, 1});
  const Result<HostTensor> whole = EvaluateRecipe(recipe.bytes(), {});
  Result<std::unique_ptr<Recipe>> parsed = Recipe::Parse(recipe.bytes(), {});
  CHECK_OK(parsed.status());
  CHECK_OK(parsed.value()->Prepare(nullptr));
  Scratch scratch;
  for (const auto& [first, count] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 180}, {180, 360}, {1, 5}, {179, 2}, {100, 1000}, {53999, 1}}) {
    std::vector<float> part(static_cast<size_t>(count));
    CHECK_OK(parsed.value()->Read(first, part, scratch, nullptr));
    CHECK(std::equal(part.begin(), part.end(), whole.value().data.begin() + first));
  }
}

TEST(RecipeReadsFiles) {
  const float reals[] = {1, 2, 3};
  const uint16_t halves[] = {F16FromFloat(-1), BF16FromFloat(5)};
  std::string bytes(reinterpret_cast<const char*>(reals), 12);
  bytes.append(reinterpret_cast<const char*>(halves), 4);
  const TemporaryFile file(bytes);
  const Result<std::shared_ptr<const SourceFile>> source = SourceFile::Open(file.path());
  CHECK_OK(source.status());
  const Sources sources = {source.value()};
  RecipeWriter recipe;
  recipe.Tensor(0, 4, 12, DType::kF32, {2})
      .Tensor(0, 12, 14, DType::kF16, {1})
      .Tensor(0, 14, 16, DType::kBF16, {1})
      .Concat(3, 0);
  GIVES(recipe, {4}, {2, 3, -1, 5}, sources);
  const auto status = [&](const RecipeWriter& r) {
    return EvaluateRecipe(r.bytes(), sources).status();
  };
  CHECK_STATUS(status(RecipeWriter().Tensor(1, 0, 4, DType::kF32, {1})), Code::kInvalidArgument,
               "source below 1");
  CHECK_STATUS(status(RecipeWriter().Tensor(0, 0, 8, DType::kF32, {1})), Code::kInvalidArgument,
               "range of 4 bytes");
  CHECK_STATUS(status(RecipeWriter().Tensor(0, -4, 0, DType::kF32, {1})), Code::kInvalidArgument,
               "range of 4 bytes");
  CHECK_STATUS(status(RecipeWriter().Tensor(0, 4, 0, DType::kF32, {1})), Code::kInvalidArgument,
               "range of 4 bytes");
  CHECK_STATUS(status(RecipeWriter().Tensor(0, INT64_MIN, INT64_MAX, DType::kF32, {1})),
               Code::kInvalidArgument, "range of 4 bytes");
  CHECK_STATUS(status(RecipeWriter().Tensor(0, 14, 18, DType::kF32, {1})),
               Code::kInvalidSafetensors, "a file of 16");
  CHECK_STATUS(status(RecipeWriter().Tensor(0, 0, 4, DType::kI32, {1})), Code::kUnsupportedFormat,
               "got i32");
  CHECK_STATUS(status(RecipeWriter().Tensor(0, 0, 4, static_cast<DType>(6), {1})),
               Code::kUnsupportedFormat, "a type that is not read");
  const std::atomic<bool> abort{true};
  CHECK_STATUS(EvaluateRecipe(recipe.bytes(), sources, &abort).status(), Code::kAborted, "");
  std::filesystem::resize_file(file.path(), 13);
  CHECK_STATUS(status(recipe), Code::kInvalidSafetensors, "shorter than when it was opened");
}

TEST(RecipeRefusesForm) {
  CHECK_STATUS(EvaluateRecipe({}, {}).status(), Code::kInvalidArgument, "magic");
  ByteWriter other_version;
  other_version.Number(kRecipeMagic);
  other_version.Number(kRecipeVersion + 1);
  REFUSES("version", other_version);
  REFUSES("one tensor left", RecipeWriter());
  REFUSES("one tensor left", RecipeWriter().Count(0, {1}).Count(0, {1}));
  RecipeWriter unknown;
  unknown.Number(uint8_t{7});
  REFUSES("an op", unknown);
  REFUSES("on the stack", RecipeWriter().Slice(0, 0, 1));
  REFUSES("on the stack", RecipeWriter().Reshape({1}));
  REFUSES("on the stack", RecipeWriter().Permute({}));
  REFUSES("parts", RecipeWriter().Count(0, {1}).Concat(2, 0));
  REFUSES("parts", RecipeWriter().Count(0, {1}).Concat(0, 0));
  REFUSES("an axis", RecipeWriter().Count(0, {1}).Concat(1, 1));
  REFUSES("parts like", RecipeWriter().Count(0, {1, 2}).Count(0, {1, 3}).Concat(2, 0));
  REFUSES("parts like", RecipeWriter().Count(0, {2}).Count(0, {2, 1}).Concat(2, 0));
  for (const auto& [start, size] : std::vector<std::pair<int64_t, int64_t>>{
           {-1, 1}, {0, 0}, {0, 4}, {3, 1}, {4, 1}, {1, INT64_MAX}, {INT64_MAX, 1}}) {
    REFUSES("range within an axis", RecipeWriter().Count(0, {3}).Slice(0, start, size));
  }
  REFUSES("range within an axis", RecipeWriter().Count(0, {3}).Slice(1, 0, 1));
  REFUSES("6 values", RecipeWriter().Count(0, {2, 3}).Reshape({5}));
  REFUSES("at least 1", RecipeWriter().Count(0, {2, 3}).Reshape({0}));
  REFUSES("at most 8 axes", RecipeWriter().Count(0, {1}).Reshape(Shape(9, 1)));
  REFUSES("values", RecipeWriter().Count(0, {1}).Reshape({int64_t{1} << 40, int64_t{1} << 40}));
  REFUSES("order of 2", RecipeWriter().Count(0, {2, 3}).Permute({0}));
  REFUSES("every axis once", RecipeWriter().Count(0, {2, 3}).Permute({0, 0}));
  REFUSES("every axis once", RecipeWriter().Count(0, {2, 3}).Permute({0, 2}));
  REFUSES("three tensors", RecipeWriter().Count(0, {2, 3}).Count(0, {2, 1}).AddLowRank(1));
  for (const auto& [up, down] : std::vector<std::pair<Shape, Shape>>{
           {{3, 1}, {1, 3}}, {{2, 1}, {2, 3}}, {{2, 1}, {1, 2}}, {{2}, {1, 3}}, {{2, 3}, {3}}}) {
    REFUSES("[O, r] and [r, ...]",
            RecipeWriter().Count(0, {2, 3}).Count(0, up).Count(0, down).AddLowRank(1));
  }
  REFUSES("[O, r] and [r, ...]",
          RecipeWriter().Count(0, {}).Count(0, {1, 1}).Count(0, {1}).AddLowRank(1));
  RecipeWriter deep = RecipeWriter().Count(0, {1});
  for (int i = 0; i < 300; ++i) deep.Reshape({1});
  REFUSES("ops on one another", deep);
}

TEST(RecipeRefusesTruncationsAndSurvivesChanges) {
  const std::vector<std::byte> bytes = RecipeWriter()
                                           .Count(0, {2, 3})
                                           .Count(9, {1, 3})
                                           .Concat(2, 0)
                                           .Slice(1, 1, 2)
                                           .Permute({1, 0})
                                           .Reshape({6})
                                           .Count(1, {6, 2})
                                           .Count(1, {2})
                                           .AddLowRank(1)
                                           .bytes();
  CHECK_OK(EvaluateRecipe(bytes, {}).status());
  int accepted = 0;
  for (size_t size = 0; size < bytes.size(); ++size)
    accepted += EvaluateRecipe(std::span(bytes).first(size), {}).ok();
  // One tensor is left after the first literal, concat, slice, permute and reshape as well.
  CHECK(accepted == 5);
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> changed = bytes;
    changed[random() % changed.size()] = static_cast<std::byte>(random());
    (void)EvaluateRecipe(changed, {});
  }
}

TEST(RecipeBoundsMemory) {
  // A file of holes: 8 GiB that nobody reads, since the plan is refused first.
  const TemporaryFile file("x");
  const int64_t size = int64_t{8} << 30;
  std::filesystem::resize_file(file.path(), static_cast<uintmax_t>(size));
  const Sources sources = {SourceFile::Open(file.path()).value()};
  RecipeWriter recipe;
  for (int i = 0; i < 3; ++i) recipe.Tensor(0, 0, size, DType::kF32, {size / 4});
  recipe.Concat(3, 0);
  CHECK_STATUS(EvaluateRecipe(recipe.bytes(), sources).status(), Code::kOutOfMemory,
               "bytes at a time");
}

}  // namespace
}  // namespace irodori::test

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
  unknown.Number(uint8_t{6});
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
}

TEST(RecipeRefusesTruncationsAndSurvivesChanges) {
  const std::vector<std::byte> bytes = RecipeWriter()
                                           .Count(0, {2, 3})
                                           .Count(9, {1, 3})
                                           .Concat(2, 0)
                                           .Slice(1, 1, 2)
                                           .Permute({1, 0})
                                           .Reshape({6})
                                           .bytes();
  CHECK_OK(EvaluateRecipe(bytes, {}).status());
  int accepted = 0;
  for (size_t size = 0; size < bytes.size(); ++size)
    accepted += EvaluateRecipe(std::span(bytes).first(size), {}).ok();
  CHECK(accepted ==
        4);  // one tensor is left after the first literal, concat, slice and permute as well
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

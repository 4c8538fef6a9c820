// One rule per kernel: dtypes and shapes of what a step reads and writes, and its attributes. The
// rules are those of the table in src/compile/kernels.ts; a backend may take less, never more.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "native/core/conv_form.h"
#include "native/core/message.h"
#include "native/core/quantize.h"
#include "native/core/shape.h"
#include "native/core/verify.h"

namespace irodori {
namespace {

constexpr double kMaxInteger = 2147483647;  // attributes stay well inside int64 arithmetic
constexpr int64_t kStrassenUnit = 32;       // halves of it are whole panels of every family

class StepRule {
 public:
  StepRule(const Program& program, size_t index)
      : program_(program),
        index_(index),
        step_(program.steps[index]),
        out_(program.buffers[step_.output]) {}

  Status Matmul() const {
    const BufferSpec& x = Operand(0);
    const BufferSpec& weight = Operand(1);
    IRODORI_RETURN_IF_ERROR(Floats({0, 2}));
    IRODORI_RETURN_IF_ERROR(Weight(weight, Packing::kGemm));
    IRODORI_RETURN_IF_ERROR(Strassen(2, weight));
    IRODORI_RETURN_IF_ERROR(QuantizeX(3, weight, ConvForm{}));
    IRODORI_RETURN_IF_ERROR(Require(Elements(weight.shape) / weight.shape[0] == x.columns(),
                                    Message("weight [N, ", x.columns(), "]"), weight));
    IRODORI_RETURN_IF_ERROR(Output(x.vectors(), weight.shape[0]));
    IRODORI_RETURN_IF_ERROR(Channels(2, weight.shape[0], "bias"));
    return Integers({0, 1}, 1);
  }

  Status Conv2d() const {
    const BufferSpec& x = Operand(0);
    const BufferSpec& weight = Operand(1);
    IRODORI_RETURN_IF_ERROR(Floats({0, 2}));
    IRODORI_RETURN_IF_ERROR(Integers({0, 1, 2, 3, 8, 9, 10}, 1));
    IRODORI_RETURN_IF_ERROR(Integers({4, 5, 6, 7, 11}, 0));
    IRODORI_RETURN_IF_ERROR(Require(x.shape.size() == 3, "x [H, W, C]", x));
    IRODORI_RETURN_IF_ERROR(Require(out_.shape.size() == 3, "output [H, W, C]", out_));
    const auto attr = [&](size_t i) { return static_cast<int64_t>(step_.attrs[i]); };
    IRODORI_RETURN_IF_ERROR(Form({attr(10), attr(11)}, weight));
    IRODORI_RETURN_IF_ERROR(QuantizeX(12, weight, {attr(10), attr(11)}));
    const std::optional<int64_t> per_output = CheckedElements(Shape{attr(0), attr(1), x.shape[2]});
    const bool fits = per_output && Elements(weight.shape) / weight.shape[0] == *per_output;
    IRODORI_RETURN_IF_ERROR(Require(
        fits, Message("weight [O, ", attr(0), ", ", attr(1), ", ", x.shape[2], "]"), weight));
    const int64_t h = x.shape[0] * attr(10) + attr(4) + attr(6) - attr(0);
    const int64_t w = x.shape[1] * attr(10) + attr(5) + attr(7) - attr(1);
    IRODORI_RETURN_IF_ERROR(
        Require(h >= 0 && w >= 0, "x with padding no smaller than the kernel", x));
    const Shape want = {h / attr(2) + 1, w / attr(3) + 1, weight.shape[0]};
    IRODORI_RETURN_IF_ERROR(
        Require(out_.shape == want, Message("output ", std::span<const int64_t>(want)), out_));
    return Channels(2, weight.shape[0], "bias");
  }

  Status Attention() const {
    const BufferSpec& q = Operand(0);
    const BufferSpec& k = Operand(1);
    const BufferSpec& v = Operand(2);
    IRODORI_RETURN_IF_ERROR(Floats({0, 1, 2}));
    IRODORI_RETURN_IF_ERROR(Integers({0, 3}, 1));
    IRODORI_RETURN_IF_ERROR(Flag(1));
    const int64_t width = q.columns();
    IRODORI_RETURN_IF_ERROR(
        Require(width % static_cast<int64_t>(step_.attrs[0]) == 0,
                Message("q with columns divisible by ", step_.attrs[0], " heads"), q));
    IRODORI_RETURN_IF_ERROR(
        Require(k.columns() == width, Message("k with ", width, " columns"), k));
    IRODORI_RETURN_IF_ERROR(Require(v.columns() == width && v.vectors() == k.vectors(),
                                    Message("v [", k.vectors(), ", ", width, "]"), v));
    const bool causal = step_.attrs[1] == 1;
    IRODORI_RETURN_IF_ERROR(Require(!causal || k.vectors() == q.vectors(),
                                    Message("as many causal keys as queries, ", q.vectors()), k));
    if (Has(3)) {
      const BufferSpec& length = Operand(3);
      IRODORI_RETURN_IF_ERROR(Require(IsId(length.dtype) && Elements(length.shape) == 1,
                                      "kvLength i32 or i64 [1]", length));
    }
    return Output(q.vectors(), width);
  }

  Status LayerNorm() const { return Norm(/*affine=*/2, /*eps=*/0); }
  Status RmsNorm() const { return Norm(/*affine=*/1, /*eps=*/0); }

  Status GroupNorm() const {
    IRODORI_RETURN_IF_ERROR(Norm(/*affine=*/2, /*eps=*/1));
    IRODORI_RETURN_IF_ERROR(Integers({0, 2}, 1));
    return Require(Operand(0).columns() % static_cast<int64_t>(step_.attrs[0]) == 0,
                   Message("x with channels divisible by ", step_.attrs[0], " groups"), Operand(0));
  }

  Status Softmax() const {
    IRODORI_RETURN_IF_ERROR(Floats({0}));
    return SameAsX();
  }

  Status Elementwise() const {
    const BufferSpec& x = Operand(0);
    IRODORI_RETURN_IF_ERROR(
        Require(!IsFloat(x.dtype) || IsFloat(out_.dtype), "output of real numbers", out_));
    return SameAsX();
  }

  Status Embedding() const {
    const BufferSpec& ids = Operand(0);
    const BufferSpec& table = Operand(1);
    IRODORI_RETURN_IF_ERROR(
        Require(IsId(ids.dtype) && Contiguous(ids), "ids i32 or i64, contiguous", ids));
    IRODORI_RETURN_IF_ERROR(Require(IsFloat(table.dtype) && table.shape.size() == 2,
                                    "table [V, D] of real numbers", table));
    IRODORI_RETURN_IF_ERROR(Require(IsFloat(out_.dtype), "output of real numbers", out_));
    return Output(Elements(ids.shape), table.shape[1]);
  }

  // attrs: offset, rank, sizes, strides: the furthest elements in both directions must exist in the
  // dense x.
  Status StridedCopy() const {
    const BufferSpec& x = Operand(0);
    const bool converts = IsFloat(x.dtype) && IsFloat(out_.dtype);
    IRODORI_RETURN_IF_ERROR(
        Require(converts || x.dtype == out_.dtype, "output in the type of x", out_));
    IRODORI_RETURN_IF_ERROR(Require(Contiguous(x), "contiguous x", x));
    const std::vector<double>& attrs = step_.attrs;
    if (attrs.size() < 2 || !IsInteger(attrs[1], 0, kMaxRank) ||
        attrs.size() != 2 + 2 * static_cast<size_t>(attrs[1])) {
      return Fail("offset, rank and as many sizes and strides",
                  Message(attrs.size(), " attributes"));
    }
    const auto rank = static_cast<size_t>(attrs[1]);
    constexpr auto kFar = static_cast<double>(kMaxElements);
    if (!IsInteger(attrs[0], 0, kFar)) return Fail("an offset", Message(attrs[0]));
    int64_t lowest = static_cast<int64_t>(attrs[0]);
    int64_t highest = lowest;
    Shape sizes;
    for (size_t axis = 0; axis < rank; ++axis) {
      const double size = attrs[2 + axis];
      const double stride = attrs[2 + rank + axis];
      if (!IsInteger(size, 1, kFar) || !IsInteger(stride, -kFar, kFar) ||
          (size - 1) * std::abs(stride) > kFar) {
        return Fail(Message("size and stride of axis ", axis, " inside x"),
                    Message(size, " and ", stride));
      }
      const int64_t reach = (static_cast<int64_t>(size) - 1) * static_cast<int64_t>(stride);
      (reach < 0 ? lowest : highest) += reach;
      sizes.push_back(static_cast<int64_t>(size));
    }
    if (CheckedElements(sizes) != Elements(out_.shape)) {
      return Fail(Message("sizes with ", Elements(out_.shape), " elements"),
                  Message(std::span<const int64_t>(sizes)));
    }
    if (lowest < 0 || highest >= Elements(x.shape)) {
      return Fail(Message("elements within the ", Elements(x.shape), " of x"),
                  Message(lowest, " to ", highest));
    }
    return Status::Ok();
  }

  Status ResizeNearest() const {
    const BufferSpec& x = Operand(0);
    IRODORI_RETURN_IF_ERROR(Floats({0}));
    IRODORI_RETURN_IF_ERROR(Require(x.shape.size() == 3, "x [H, W, C]", x));
    return Require(out_.shape.size() == 3 && out_.shape[2] == x.shape[2],
                   Message("output [H, W, ", x.shape[2], "]"), out_);
  }

  Status ResizeBilinear() const {
    IRODORI_RETURN_IF_ERROR(Flag(0));
    return ResizeNearest();
  }

  Status TimestepEmbedding() const {
    const BufferSpec& t = Operand(0);
    IRODORI_RETURN_IF_ERROR(Require(Elements(t.shape) == 1, "t [1]", t));
    IRODORI_RETURN_IF_ERROR(Require(IsFloat(out_.dtype), "output of real numbers", out_));
    IRODORI_RETURN_IF_ERROR(Flag(0));
    IRODORI_RETURN_IF_ERROR(Output(1, out_.columns()));
    const auto half = static_cast<double>(out_.columns() / 2);
    if (!(half - step_.attrs[1] > 0))
      return Fail(Message("a shift below ", half), Message(step_.attrs[1]));
    if (!(step_.attrs[3] > 0)) return Fail("maxPeriod above 0", Message(step_.attrs[3]));
    return Status::Ok();
  }

  // What holds for every step, whatever its kernel.
  Status Common() const {
    IRODORI_RETURN_IF_ERROR(Writable());
    for (size_t i = 0; i < step_.operands.size(); ++i) {
      const bool weight =
          i == 1 && (step_.kernel == Kernel::kMatmul || step_.kernel == Kernel::kConv2d);
      if (Has(i) && !weight)
        IRODORI_RETURN_IF_ERROR(
            Require(!GemmPacked(Operand(i)), "an operand in plain packing", Operand(i)));
    }
    if (!step_.epilogue.empty())
      IRODORI_RETURN_IF_ERROR(Require(IsFloat(out_.dtype), "real output for an epilogue", out_));
    for (const EpilogueOp& op : step_.epilogue) {
      if (op.operand >= 0) IRODORI_RETURN_IF_ERROR(EpilogueOperand(op));
    }
    return Status::Ok();
  }

 private:
  bool Has(size_t operand) const { return step_.operands[operand] >= 0; }
  const BufferSpec& Operand(size_t operand) const {
    return program_.buffers[step_.operands[operand]];
  }

  static bool IsInteger(double value, double least, double most) {
    return value >= least && value <= most && std::floor(value) == value;
  }
  static bool Contiguous(const BufferSpec& buffer) {
    return buffer.pitch == buffer.columns() || buffer.vectors() == 1;
  }
  bool GemmPacked(const BufferSpec& buffer) const {
    return buffer.storage == StorageKind::kParam &&
           program_.params[buffer.index].packing != Packing::kPlain;
  }

  Status Fail(std::string_view expected, std::string_view got) const {
    return {Code::kInvalidProgram,
            Message(StepPlace(program_, index_), ": expected ", expected, ", got ", got)};
  }
  Status Require(bool holds, std::string_view expected, const BufferSpec& got) const {
    if (holds) return Status::Ok();
    return Fail(expected, Message(Quoted(got.name), " ", DTypeText(got.dtype), " ",
                                  std::span<const int64_t>(got.shape)));
  }

  Status Floats(std::initializer_list<size_t> operands) const {
    for (const size_t i : operands) {
      if (Has(i))
        IRODORI_RETURN_IF_ERROR(
            Require(IsFloat(Operand(i).dtype), Message("real numbers as operand ", i), Operand(i)));
    }
    return Require(IsFloat(out_.dtype), "output of real numbers", out_);
  }
  Status Integers(std::initializer_list<size_t> attrs, double least) const {
    for (const size_t i : attrs) {
      if (!IsInteger(step_.attrs[i], least, kMaxInteger)) {
        return Fail(Message("an integer from ", least, " on as attribute ", i),
                    Message(step_.attrs[i]));
      }
    }
    return Status::Ok();
  }
  Status Flag(size_t attr) const {
    if (IsInteger(step_.attrs[attr], 0, 1)) return Status::Ok();
    return Fail(Message("0 or 1 as attribute ", attr), Message(step_.attrs[attr]));
  }

  Status Output(int64_t vectors, int64_t columns) const {
    return Require(out_.vectors() == vectors && out_.columns() == columns,
                   Message("output [", vectors, ", ", columns, "]"), out_);
  }
  Status SameAsX() const { return Output(Operand(0).vectors(), Operand(0).columns()); }

  // Weights come from packs in the backend's own order; a backend would misread anything else.
  Status Weight(const BufferSpec& weight, Packing packing) const {
    const bool fits =
        weight.storage == StorageKind::kParam && program_.params[weight.index].packing == packing;
    return Require(fits, Message("a weight in ", PackingText(packing), " packing"), weight);
  }

  // The algorithm of a convolution: one that exists, for a geometry that it can do, over weights
  // packed for it.
  Status Form(const ConvForm& form, const BufferSpec& weight) const {
    if (!IsConvForm(form)) {
      return Fail("a form of convolution that exists",
                  Message("upsample ", form.upsample, ", tile ", form.tile));
    }
    IRODORI_RETURN_IF_ERROR(Weight(weight, PackingOf(form)));
    if (form.upsample == 1 && form.tile == 0) return Status::Ok();
    const auto is = [&](std::initializer_list<size_t> attrs, double value) {
      return std::ranges::all_of(attrs, [&](size_t i) { return step_.attrs[i] == value; });
    };
    const bool plain = is({0, 1}, 3) && is({2, 3, 8}, 1) &&
                       step_.attrs[9] >= static_cast<double>(Elements(weight.shape)) /
                                             static_cast<double>(weight.shape[0]);
    if (plain && (form.upsample == 1 || is({4, 5, 6, 7}, 1))) return Status::Ok();
    return Fail(Message("a 3x3 convolution of stride 1, in one sum",
                        form.upsample == 1 ? "" : ", padded by 1"),
                "another");
  }

  // Strassen's product: of halves of x and of weights that are whole panels of every family, in one
  // sum, over numbers.
  Status Strassen(size_t attr, const BufferSpec& weight) const {
    IRODORI_RETURN_IF_ERROR(Flag(attr));
    if (step_.attrs[attr] == 0) return Status::Ok();
    IRODORI_RETURN_IF_ERROR(Require(!IsInt8(weight.dtype), "weights in real numbers", weight));
    const int64_t rows = Operand(0).vectors(), terms = Operand(0).columns();
    const int64_t outputs = weight.shape[0];
    if (rows % 2 == 0 && terms % kStrassenUnit == 0 && outputs % kStrassenUnit == 0 &&
        step_.attrs[0] == 1 && step_.attrs[1] >= static_cast<double>(terms)) {
      return Status::Ok();
    }
    return Fail(Message("an even number of vectors and multiples of ", kStrassenUnit,
                        " terms and outputs, in one sum"),
                Message(rows, " of ", terms, " to ", outputs));
  }

  // Quantised x: over weights in i8, in its plain form, in sums that 32 bits hold.
  Status QuantizeX(size_t attr, const BufferSpec& weight, const ConvForm& form) const {
    if (step_.attrs[attr] == 0) {
      return Require(weight.dtype != DType::kI8Sums16, "weights for x as it is", weight);
    }
    if (!IsInteger(step_.attrs[attr], 0, kMaxInteger) ||
        !IsInt8Sums(static_cast<int64_t>(step_.attrs[attr]))) {
      return Fail(Message("0, 16 or 32 as attribute ", attr), Message(step_.attrs[attr]));
    }
    const bool made =
        IsInt8(weight.dtype) && step_.attrs[attr] == static_cast<double>(Int8SumsOf(weight.dtype));
    IRODORI_RETURN_IF_ERROR(Require(made, "weights in i8 for those sums", weight));
    const int64_t terms = Elements(weight.shape) / weight.shape[0];
    const int64_t channels = Operand(0).columns();
    if (form.upsample == 1 && form.tile == 0 && terms <= kMaxInt8Terms &&
        (step_.kernel == Kernel::kMatmul || channels % kInt8Group == 0)) {
      return Status::Ok();
    }
    return Fail(Message("at most ", kMaxInt8Terms, " terms, in whole groups of ", kInt8Group,
                        " channels, in one sum over x"),
                Message(terms, " of ", channels, " channels, upsample ", form.upsample, ", tile ",
                        form.tile));
  }

  Status Channels(size_t operand, int64_t channels, std::string_view what) const {
    if (!Has(operand)) return Status::Ok();
    const BufferSpec& buffer = Operand(operand);
    return Require(Elements(buffer.shape) == channels && Contiguous(buffer),
                   Message(what, " [", channels, "]"), buffer);
  }

  Status Norm(size_t affine, size_t eps) const {
    IRODORI_RETURN_IF_ERROR(Floats({0}));
    for (size_t i = 1; i <= affine; ++i) {
      if (Has(i))
        IRODORI_RETURN_IF_ERROR(
            Require(IsFloat(Operand(i).dtype), "affine of real numbers", Operand(i)));
      IRODORI_RETURN_IF_ERROR(Channels(i, Operand(0).columns(), i == 1 ? "weight" : "bias"));
    }
    if (!(step_.attrs[eps] >= 0)) return Fail("eps from 0 on", Message(step_.attrs[eps]));
    return SameAsX();
  }

  Status Writable() const {
    const BufferSpec& root =
        out_.storage == StorageKind::kView ? program_.buffers[out_.index] : out_;
    const bool writable =
        root.storage == StorageKind::kArena || root.storage == StorageKind::kOutput;
    return Require(writable, "output in the arena or an output of the program", out_);
  }

  // M·N elements (in the output's vectors, or contiguous), N or 1.
  Status EpilogueOperand(const EpilogueOp& op) const {
    const BufferSpec& buffer = program_.buffers[op.operand];
    const int64_t elements = Elements(buffer.shape);
    const bool every = elements == Elements(out_.shape) &&
                       (buffer.columns() == out_.columns() || Contiguous(buffer));
    const bool channels = elements == out_.columns() && Contiguous(buffer);
    const bool fits =
        IsFloat(buffer.dtype) && !GemmPacked(buffer) && (every || channels || elements == 1);
    return Require(fits,
                   Message("real operand of ", EpilogueText(op.op), " with ", Elements(out_.shape),
                           ", ", out_.columns(), " or 1 elements"),
                   buffer);
  }

  const Program& program_;
  size_t index_;
  const Step& step_;
  const BufferSpec& out_;
};

// In the order of Kernel.
constexpr Status (StepRule::*kRules[])() const = {
    &StepRule::Matmul,
    &StepRule::Conv2d,
    &StepRule::Attention,
    &StepRule::LayerNorm,
    &StepRule::GroupNorm,
    &StepRule::RmsNorm,
    &StepRule::Softmax,
    &StepRule::Elementwise,
    &StepRule::Embedding,
    &StepRule::StridedCopy,
    &StepRule::ResizeNearest,
    &StepRule::ResizeBilinear,
    &StepRule::TimestepEmbedding,
};
static_assert(std::size(kRules) == kKernelCount, "a rule per kernel, in the order of kernels.def");

}  // namespace

std::string StepPlace(const Program& program, size_t step) {
  const Step& entry = program.steps[step];
  return Message("program(", program.name, "): step ", step, " ", KernelText(entry.kernel), "(",
                 entry.at, ")");
}

Status VerifyStep(const Program& program, size_t step) {
  const StepRule rule(program, step);
  IRODORI_RETURN_IF_ERROR(rule.Common());
  return (rule.*kRules[static_cast<size_t>(program.steps[step].kernel)])();
}

}  // namespace irodori

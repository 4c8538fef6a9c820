// Reads recipes into a checked plan, then evaluates the plan on a stack of host tensors, a piece at
// a time.
#include "native/core/recipe.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <numeric>
#include <utility>
#include <vector>

#include "native/core/bytes.h"
#include "native/core/message.h"
#include "native/core/shape.h"
#include "native/core/usable_memory.h"
#include "native/core/verify.h"

namespace irodori {
namespace {

struct PlannedOp {
  RecipeOp op{};
  Shape shape;                         // of the result
  uint32_t source = 0;                 // tensor
  int64_t begin = 0;                   // tensor: first byte; slice: first index
  DType dtype{};                       // tensor
  uint32_t axis = 0;                   // slice, concat
  uint32_t count = 0;                  // concat
  std::vector<uint32_t> order;         // permute
  std::span<const std::byte> literal;  // of the recipe's own bytes
};

// Form and shapes, without touching a file's contents.
class Planner {
 public:
  Planner(std::span<const std::byte> recipe,
          std::span<const std::shared_ptr<const SourceFile>> sources)
      : reader_(recipe), sources_(sources) {}

  Result<std::vector<PlannedOp>> Plan() {
    uint32_t magic = 0;
    uint32_t version = 0;
    if (!reader_.Read(magic) || magic != kRecipeMagic)
      return Fail(Message("magic ", kRecipeMagic), Message(magic));
    if (!reader_.Read(version) || version != kRecipeVersion)
      return Fail(Message("version ", kRecipeVersion), Message(version));
    while (reader_.remaining() > 0) {
      uint8_t code;
      if (!reader_.Read(code) || code > static_cast<uint8_t>(RecipeOp::kPermute))
        return Fail("an op", "another code");
      PlannedOp op;
      op.op = static_cast<RecipeOp>(code);
      const int64_t before = held_;
      IRODORI_RETURN_IF_ERROR(Operation(op));
      IRODORI_RETURN_IF_ERROR(Push(op, before));
      plan_.push_back(std::move(op));
    }
    if (stack_.size() != 1) return Fail("one tensor left", Message(stack_.size()));
    return std::move(plan_);
  }

 private:
  Status Fail(std::string_view expected, std::string_view got) const {
    return {Code::kInvalidArgument, Message("recipe: at byte ", reader_.position(), ": expected ",
                                            expected, ", got ", got)};
  }
  Status Truncated() const { return Fail("more bytes", "the end"); }

  Status Operation(PlannedOp& op) {
    switch (op.op) {
      case RecipeOp::kTensor:
        return Tensor(op);
      case RecipeOp::kLiteral:
        return Literal(op);
      case RecipeOp::kConcat:
        return Concat(op);
      default:
        break;
    }
    if (stack_.empty()) return Fail("a tensor on the stack", "none");
    const Shape of = Pop();
    switch (op.op) {
      case RecipeOp::kSlice:
        return Slice(op, of);
      case RecipeOp::kReshape:
        return Reshape(op, of);
      default:
        return Permute(op, of);
    }
  }

  // While an op runs, the stack as it was before and the result are both held.
  Status Push(const PlannedOp& op, int64_t before) {
    const int64_t result = Elements(op.shape);
    const int64_t bytes = (before + result) * static_cast<int64_t>(sizeof(float));
    const int64_t most = std::min(kMaxRecipeBytes, UsableMemoryBytes());
    if (bytes > most) {
      return {Code::kOutOfMemory,
              Message("recipe: expected to hold at most ", most, " bytes at a time, got ", bytes)};
    }
    held_ += result;
    stack_.push_back(op.shape);
    return Status::Ok();
  }

  Shape Pop() {
    Shape top = std::move(stack_.back());
    stack_.pop_back();
    held_ -= Elements(top);
    return top;
  }

  Status ReadShape(Shape& shape) {
    uint32_t rank;
    if (!reader_.Read(rank)) return Truncated();
    if (rank > kMaxRank) return Fail(Message("at most ", kMaxRank, " axes"), Message(rank));
    shape.resize(rank);
    for (int64_t& size : shape) {
      if (!reader_.Read(size)) return Truncated();
      if (size < 1) return Fail("a size of at least 1", Message(size));
    }
    if (!CheckedElements(shape))
      return Fail(Message("fewer than ", kMaxElements, " values"),
                  Message(std::span<const int64_t>(shape)));
    return Status::Ok();
  }

  Status Tensor(PlannedOp& op) {
    int64_t end;
    uint8_t dtype;
    if (!reader_.Read(op.source) || !reader_.Read(op.begin) || !reader_.Read(end) ||
        !reader_.Read(dtype))
      return Truncated();
    IRODORI_RETURN_IF_ERROR(ReadShape(op.shape));
    if (op.source >= sources_.size())
      return Fail(Message("a source below ", sources_.size()), Message(op.source));
    const SourceFile& file = *sources_[op.source];
    // Codes beyond DType stand for the other types of weight files.
    const bool known = dtype <= static_cast<uint8_t>(DType::kU8);
    op.dtype = static_cast<DType>(dtype);
    if (!known || !IsFloat(op.dtype)) {
      return {Code::kUnsupportedFormat,
              Message("recipe: file(", file.path(), ") at ", op.begin,
                      ": expected f32, f16 or bf16, got ",
                      known ? DTypeText(op.dtype) : "a type that is not read")};
    }
    const int64_t bytes = Elements(op.shape) * DTypeBytes(op.dtype);
    if (op.begin < 0 || end < op.begin || end - op.begin != bytes) {
      return Fail(Message("a range of ", bytes, " bytes"), Message(op.begin, " to ", end));
    }
    if (end > file.size_bytes()) {
      return {Code::kInvalidSafetensors,
              Message("recipe: file(", file.path(), "): expected bytes up to ", end,
                      ", got a file of ", file.size_bytes())};
    }
    return Status::Ok();
  }

  Status Literal(PlannedOp& op) {
    IRODORI_RETURN_IF_ERROR(ReadShape(op.shape));
    const auto bytes = static_cast<size_t>(Elements(op.shape)) * sizeof(float);
    return reader_.ReadBytes(bytes, op.literal) ? Status::Ok() : Truncated();
  }

  Status Slice(PlannedOp& op, const Shape& of) {
    int64_t size;
    if (!reader_.Read(op.axis) || !reader_.Read(op.begin) || !reader_.Read(size))
      return Truncated();
    if (op.axis >= of.size() || op.begin < 0 || size < 1 || op.begin > of[op.axis] ||
        size > of[op.axis] - op.begin) {
      return Fail(Message("a range within an axis of ", std::span<const int64_t>(of)),
                  Message(size, " from ", op.begin, " of axis ", op.axis));
    }
    op.shape = of;
    op.shape[op.axis] = size;
    return Status::Ok();
  }

  Status Concat(PlannedOp& op) {
    if (!reader_.Read(op.count) || !reader_.Read(op.axis)) return Truncated();
    if (op.count < 1 || op.count > stack_.size())
      return Fail(Message("1 to ", stack_.size(), " parts"), Message(op.count));
    const std::span<const Shape> parts = std::span<const Shape>(stack_).last(op.count);
    op.shape = parts[0];
    if (op.axis >= op.shape.size())
      return Fail(Message("an axis of ", std::span<const int64_t>(op.shape)), Message(op.axis));
    for (const Shape& part : parts.subspan(1)) {
      Shape aligned = part;
      if (aligned.size() == op.shape.size()) aligned[op.axis] = op.shape[op.axis];
      if (aligned != op.shape) {
        return Fail(Message("parts like ", std::span<const int64_t>(op.shape), " apart from axis ",
                            op.axis),
                    Message(std::span<const int64_t>(part)));
      }
      op.shape[op.axis] += part[op.axis];
      if (!CheckedElements(op.shape))
        return Fail(Message("fewer than ", kMaxElements, " values"), "more");
    }
    for (uint32_t i = 0; i < op.count; ++i) Pop();
    return Status::Ok();
  }

  Status Reshape(PlannedOp& op, const Shape& of) {
    IRODORI_RETURN_IF_ERROR(ReadShape(op.shape));
    if (Elements(op.shape) == Elements(of)) return Status::Ok();
    return Fail(Message(Elements(of), " values of ", std::span<const int64_t>(of)),
                Message(std::span<const int64_t>(op.shape)));
  }

  Status Permute(PlannedOp& op, const Shape& of) {
    uint32_t rank;
    if (!reader_.Read(rank)) return Truncated();
    if (rank != of.size()) return Fail(Message("an order of ", of.size(), " axes"), Message(rank));
    uint32_t seen = 0;
    for (uint32_t i = 0; i < rank; ++i) {
      uint32_t axis;
      if (!reader_.Read(axis)) return Truncated();
      if (axis >= rank || (seen >> axis & 1) != 0) return Fail("every axis once", Message(axis));
      seen |= uint32_t{1} << axis;
      op.order.push_back(axis);
      op.shape.push_back(of[axis]);
    }
    return Status::Ok();
  }

  ByteReader reader_;
  std::span<const std::shared_ptr<const SourceFile>> sources_;
  std::vector<Shape> stack_;
  int64_t held_ = 0;  // values on the stack
  std::vector<PlannedOp> plan_;
};

int64_t ElementsAfter(const Shape& shape, uint32_t axis) {
  return Elements(std::span(shape).subspan(axis + 1));
}
int64_t ElementsBefore(const Shape& shape, uint32_t axis) {
  return Elements(std::span(shape).first(axis));
}

// Evaluates a plan on a stack of host tensors.
class Evaluator {
 public:
  Evaluator(std::span<const std::shared_ptr<const SourceFile>> sources, AbortFlag abort)
      : sources_(sources), abort_(abort) {}

  Status Apply(const PlannedOp& op) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort_));
    if (op.op == RecipeOp::kReshape) {
      stack_.back().shape = op.shape;
      return Status::Ok();
    }
    HostTensor result;
    IRODORI_RETURN_IF_ERROR(Allocate(op.shape, result));
    IRODORI_RETURN_IF_ERROR(Fill(op, result));
    if (op.op == RecipeOp::kSlice || op.op == RecipeOp::kPermute) stack_.pop_back();
    if (op.op == RecipeOp::kConcat) stack_.resize(stack_.size() - op.count);
    stack_.push_back(std::move(result));
    return Status::Ok();
  }

  HostTensor Take() { return std::move(stack_.back()); }

 private:
  // Zeros, made a piece at a time.
  Status Allocate(const Shape& shape, HostTensor& tensor) const {
    const auto size = static_cast<size_t>(Elements(shape));
    tensor.shape = shape;
    tensor.data.reserve(size);
    while (tensor.data.size() < size) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(abort_));
      tensor.data.resize(std::min(size, tensor.data.size() + kPiece));
    }
    return Status::Ok();
  }

  Status Fill(const PlannedOp& op, HostTensor& result) const {
    switch (op.op) {
      case RecipeOp::kTensor:
        return sources_[op.source]->ReadFloats(op.begin, op.dtype, result.data, abort_);
      case RecipeOp::kLiteral:
        std::memcpy(result.data.data(), op.literal.data(), op.literal.size());
        return Status::Ok();
      case RecipeOp::kSlice:
        return Slice(stack_.back(), op, result);
      case RecipeOp::kConcat:
        return Join(op, result);
      case RecipeOp::kPermute:
        return Permute(stack_.back(), op, result);
      case RecipeOp::kReshape:
        break;
    }
    return {Code::kInternal, "recipe: unknown op in a checked plan"};
  }

  Status Copy(const float* from, int64_t count, float* to) const {
    for (int64_t done = 0; done < count; done += kPiece) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(abort_));
      std::copy_n(from + done, std::min<int64_t>(count - done, kPiece), to + done);
    }
    return Status::Ok();
  }

  Status Slice(const HostTensor& of, const PlannedOp& op, HostTensor& result) const {
    const int64_t inner = ElementsAfter(op.shape, op.axis);
    const int64_t piece = op.shape[op.axis] * inner;
    for (int64_t i = 0; i < ElementsBefore(op.shape, op.axis); ++i) {
      const float* from = of.data.data() + (i * of.shape[op.axis] + op.begin) * inner;
      IRODORI_RETURN_IF_ERROR(Copy(from, piece, result.data.data() + i * piece));
    }
    return Status::Ok();
  }

  // The top `op.count` tensors beside one another.
  Status Join(const PlannedOp& op, HostTensor& result) const {
    const int64_t inner = ElementsAfter(op.shape, op.axis);
    int64_t at = 0;
    for (const HostTensor& part : std::span(stack_).last(op.count)) {
      const int64_t piece = part.shape[op.axis] * inner;
      for (int64_t i = 0; i < ElementsBefore(op.shape, op.axis); ++i) {
        float* to = result.data.data() + (i * op.shape[op.axis] + at) * inner;
        IRODORI_RETURN_IF_ERROR(Copy(part.data.data() + i * piece, piece, to));
      }
      at += part.shape[op.axis];
    }
    return Status::Ok();
  }

  Status Permute(const HostTensor& of, const PlannedOp& op, HostTensor& result) const {
    const size_t rank = op.order.size();
    std::array<int64_t, kMaxRank> strides = {};  // of the old tensor, in the order of the new axes
    for (size_t i = 0; i < rank; ++i) strides[i] = ElementsAfter(of.shape, op.order[i]);
    std::array<int64_t, kMaxRank> index = {};
    int64_t source = 0;
    for (size_t done = 0; done < result.data.size(); ++done) {
      if (done % kPiece == 0) IRODORI_RETURN_IF_ERROR(CheckAbort(abort_));
      result.data[done] = of.data[source];
      for (size_t axis = rank; axis-- > 0;) {
        source += strides[axis];
        if (++index[axis] < op.shape[axis]) break;
        source -= strides[axis] * op.shape[axis];
        index[axis] = 0;
      }
    }
    return Status::Ok();
  }

  // Values between two looks at the flag.
  static constexpr int64_t kPiece = kAbortBytes / static_cast<int64_t>(sizeof(float));

  std::span<const std::shared_ptr<const SourceFile>> sources_;
  AbortFlag abort_;
  std::vector<HostTensor> stack_;
};

}  // namespace

Result<HostTensor> EvaluateRecipe(std::span<const std::byte> recipe,
                                  std::span<const std::shared_ptr<const SourceFile>> sources,
                                  AbortFlag abort) try {
  Result<std::vector<PlannedOp>> plan = Planner(recipe, sources).Plan();
  IRODORI_RETURN_IF_ERROR(plan.status());
  Evaluator evaluator(sources, abort);
  for (const PlannedOp& op : plan.value()) IRODORI_RETURN_IF_ERROR(evaluator.Apply(op));
  return evaluator.Take();
} catch (const std::bad_alloc&) {
  return Status(Code::kOutOfMemory, "recipe: expected memory for its tensors, got none");
}

}  // namespace irodori

// Reads recipes into a checked plan, then evaluates the plan on a stack of host tensors.
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
    const int64_t most = kMaxRecipeBytes / static_cast<int64_t>(sizeof(float));
    if (before + result > most) {
      return {Code::kOutOfMemory, Message("recipe: expected to hold at most ", most,
                                          " values at a time, got ", before + result)};
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
    if (dtype > static_cast<uint8_t>(DType::kU8)) return Fail("a dtype", Message(dtype));
    op.dtype = static_cast<DType>(dtype);
    const SourceFile& file = *sources_[op.source];
    if (!IsFloat(op.dtype)) {
      return {Code::kUnsupportedFormat,
              Message("recipe: file(", file.path(), ") at ", op.begin,
                      ": expected f32, f16 or bf16, got ", DTypeText(op.dtype))};
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

HostTensor Allocate(const Shape& shape) {
  return {shape, std::vector<float>(static_cast<size_t>(Elements(shape)))};
}

// Copies `from` into `to` beside what lies before `at` along the axis.
void Paste(const HostTensor& from, HostTensor& to, uint32_t axis, int64_t at) {
  const int64_t inner = ElementsAfter(to.shape, axis);
  const int64_t piece = from.shape[axis] * inner;
  for (int64_t i = 0; i < ElementsBefore(to.shape, axis); ++i) {
    std::copy_n(from.data.data() + i * piece, piece,
                to.data.data() + (i * to.shape[axis] + at) * inner);
  }
}

HostTensor SliceOf(const HostTensor& of, const PlannedOp& op) {
  HostTensor result = Allocate(op.shape);
  const int64_t inner = ElementsAfter(op.shape, op.axis);
  const int64_t piece = op.shape[op.axis] * inner;
  for (int64_t i = 0; i < ElementsBefore(op.shape, op.axis); ++i) {
    std::copy_n(of.data.data() + (i * of.shape[op.axis] + op.begin) * inner, piece,
                result.data.data() + i * piece);
  }
  return result;
}

HostTensor PermutationOf(const HostTensor& of, const PlannedOp& op) {
  HostTensor result = Allocate(op.shape);
  const size_t rank = op.order.size();
  std::array<int64_t, kMaxRank> strides = {};  // of the old tensor, in the order of the new axes
  for (size_t i = 0; i < rank; ++i) strides[i] = ElementsAfter(of.shape, op.order[i]);
  std::array<int64_t, kMaxRank> index = {};
  int64_t source = 0;
  for (float& value : result.data) {
    value = of.data[source];
    for (size_t axis = rank; axis-- > 0;) {
      source += strides[axis];
      if (++index[axis] < op.shape[axis]) break;
      source -= strides[axis] * op.shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}

// Replaces the top `op.count` tensors by their join.
void Join(std::vector<HostTensor>& stack, const PlannedOp& op) {
  HostTensor result = Allocate(op.shape);
  const size_t first = stack.size() - op.count;
  int64_t at = 0;
  for (size_t i = first; i < stack.size(); ++i) {
    Paste(stack[i], result, op.axis, at);
    at += stack[i].shape[op.axis];
  }
  stack.resize(first);
  stack.push_back(std::move(result));
}

Status Apply(const PlannedOp& op, std::span<const std::shared_ptr<const SourceFile>> sources,
             std::vector<HostTensor>& stack) {
  switch (op.op) {
    case RecipeOp::kTensor: {
      HostTensor& tensor = stack.emplace_back(Allocate(op.shape));
      return sources[op.source]->ReadFloats(op.begin, op.dtype, tensor.data);
    }
    case RecipeOp::kLiteral: {
      HostTensor& tensor = stack.emplace_back(Allocate(op.shape));
      std::memcpy(tensor.data.data(), op.literal.data(), op.literal.size());
      return Status::Ok();
    }
    case RecipeOp::kSlice:
      stack.back() = SliceOf(stack.back(), op);
      return Status::Ok();
    case RecipeOp::kConcat:
      Join(stack, op);
      return Status::Ok();
    case RecipeOp::kReshape:
      stack.back().shape = op.shape;
      return Status::Ok();
    case RecipeOp::kPermute:
      stack.back() = PermutationOf(stack.back(), op);
      return Status::Ok();
  }
  return {Code::kInternal, "recipe: unknown op in a checked plan"};
}

}  // namespace

Result<HostTensor> EvaluateRecipe(std::span<const std::byte> recipe,
                                  std::span<const std::shared_ptr<const SourceFile>> sources,
                                  const std::atomic<bool>* abort) try {
  Result<std::vector<PlannedOp>> plan = Planner(recipe, sources).Plan();
  IRODORI_RETURN_IF_ERROR(plan.status());
  std::vector<HostTensor> stack;
  for (const PlannedOp& op : plan.value()) {
    if (abort != nullptr && abort->load(std::memory_order_relaxed))
      return Status(Code::kAborted, "recipe: aborted");
    IRODORI_RETURN_IF_ERROR(Apply(op, sources, stack));
  }
  return std::move(stack.back());
} catch (const std::bad_alloc&) {
  return Status(Code::kOutOfMemory, "recipe: expected memory for its tensors, got none");
}

}  // namespace irodori

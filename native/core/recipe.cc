// Reads recipes into a checked tree of nodes, and evaluates it.
#include "native/core/recipe.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "native/core/bytes.h"
#include "native/core/message.h"
#include "native/core/recipe_nodes.h"
#include "native/core/shape.h"
#include "native/core/usable_memory.h"
#include "native/core/verify.h"

namespace irodori {
namespace {

using recipe::Node;
using recipe::NodePtr;

// Form and shapes, without touching a file's contents: bytes to nodes.
class Parser {
 public:
  Parser(std::span<const std::byte> bytes,
         std::span<const std::shared_ptr<const SourceFile>> sources)
      : reader_(bytes), sources_(sources) {}

  Result<NodePtr> Parse() {
    uint32_t magic = 0;
    uint32_t version = 0;
    if (!reader_.Read(magic) || magic != kRecipeMagic)
      return Fail(Message("magic ", kRecipeMagic), Message(magic));
    if (!reader_.Read(version) || version != kRecipeVersion)
      return Fail(Message("version ", kRecipeVersion), Message(version));
    while (reader_.remaining() > 0) {
      uint8_t code;
      if (!reader_.Read(code) || code > static_cast<uint8_t>(RecipeOp::kAddLowRank))
        return Fail("an op", "another code");
      IRODORI_RETURN_IF_ERROR(Operation(static_cast<RecipeOp>(code)));
    }
    if (stack_.size() != 1) return Fail("one tensor left", Message(stack_.size()));
    return Pop().node;
  }

 private:
  // A node, and how many others it stands on at most.
  struct Entry {
    NodePtr node;
    int depth = 0;
    const Shape& shape() const { return node->shape(); }
  };

  Status Fail(std::string_view expected, std::string_view got) const {
    return {Code::kInvalidArgument, Message("recipe: at byte ", reader_.position(), ": expected ",
                                            expected, ", got ", got)};
  }
  Status Truncated() const { return Fail("more bytes", "the end"); }

  Status Operation(RecipeOp op) {
    switch (op) {
      case RecipeOp::kTensor:
        return Tensor();
      case RecipeOp::kLiteral:
        return Literal();
      case RecipeOp::kConcat:
        return Concat();
      case RecipeOp::kAddLowRank:
        return AddLowRank();
      default:
        break;
    }
    if (stack_.empty()) return Fail("a tensor on the stack", "none");
    Entry of = Pop();
    switch (op) {
      case RecipeOp::kSlice:
        return Slice(std::move(of));
      case RecipeOp::kReshape:
        return Reshape(std::move(of));
      default:
        return Permute(std::move(of));
    }
  }

  // Evaluation recurses; what it holds must be there.
  Status Push(NodePtr node, int depth) {
    if (depth > kMaxDepth)
      return Fail(Message("at most ", kMaxDepth, " ops on one another"), "more");
    if (node->block() > kStretchValues) node = recipe::Whole(std::move(node));
    const int64_t most = std::min(kMaxRecipeBytes, UsableMemoryBytes());
    const int64_t held = node->held();
    if (held > most / static_cast<int64_t>(sizeof(float))) {
      return {Code::kOutOfMemory, Message("recipe: expected to hold at most ", most,
                                          " bytes at a time, got ", held, " values")};
    }
    stack_.push_back({std::move(node), depth});
    return Status::Ok();
  }

  Entry Pop() {
    Entry top = std::move(stack_.back());
    stack_.pop_back();
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

  Status Tensor() {
    uint32_t source;
    int64_t begin;
    int64_t end;
    uint8_t code;
    Shape shape;
    if (!reader_.Read(source) || !reader_.Read(begin) || !reader_.Read(end) || !reader_.Read(code))
      return Truncated();
    IRODORI_RETURN_IF_ERROR(ReadShape(shape));
    if (source >= sources_.size())
      return Fail(Message("a source below ", sources_.size()), Message(source));
    const SourceFile& file = *sources_[source];
    // Codes beyond DType stand for the other types of weight files.
    const bool known = code <= static_cast<uint8_t>(DType::kU8);
    const DType dtype = static_cast<DType>(code);
    if (!known || !IsFloat(dtype)) {
      return {
          Code::kUnsupportedFormat,
          Message("recipe: file(", file.path(), ") at ", begin, ": expected f32, f16 or bf16, got ",
                  known ? DTypeText(dtype) : "a type that is not read")};
    }
    const int64_t bytes = Elements(shape) * DTypeBytes(dtype);
    if (begin < 0 || end < begin || end - begin != bytes) {
      return Fail(Message("a range of ", bytes, " bytes"), Message(begin, " to ", end));
    }
    if (end > file.size_bytes()) {
      return {Code::kInvalidSafetensors,
              Message("recipe: file(", file.path(), "): expected bytes up to ", end,
                      ", got a file of ", file.size_bytes())};
    }
    return Push(recipe::Tensor(std::move(shape), sources_[source], begin, dtype), 1);
  }

  Status Literal() {
    Shape shape;
    IRODORI_RETURN_IF_ERROR(ReadShape(shape));
    const auto size = static_cast<size_t>(Elements(shape));
    std::span<const std::byte> bytes;
    if (!reader_.ReadBytes(size * sizeof(float), bytes)) return Truncated();
    std::vector<float> values(size);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return Push(recipe::Literal(std::move(shape), std::move(values)), 1);
  }

  Status Slice(Entry of) {
    uint32_t axis;
    int64_t start;
    int64_t size;
    if (!reader_.Read(axis) || !reader_.Read(start) || !reader_.Read(size)) return Truncated();
    if (axis >= of.shape().size() || start < 0 || size < 1 || start > of.shape()[axis] ||
        size > of.shape()[axis] - start) {
      return Fail(Message("a range within an axis of ", std::span<const int64_t>(of.shape())),
                  Message(size, " from ", start, " of axis ", axis));
    }
    Shape shape = of.shape();
    shape[axis] = size;
    return Push(recipe::Slice(std::move(shape), axis, start, std::move(of.node)), of.depth + 1);
  }

  Status Concat() {
    uint32_t count;
    uint32_t axis;
    if (!reader_.Read(count) || !reader_.Read(axis)) return Truncated();
    if (count < 1 || count > stack_.size())
      return Fail(Message("1 to ", stack_.size(), " parts"), Message(count));
    const std::span<Entry> parts = std::span<Entry>(stack_).last(count);
    Shape shape = parts[0].shape();
    if (axis >= shape.size())
      return Fail(Message("an axis of ", std::span<const int64_t>(shape)), Message(axis));
    for (const Entry& part : parts.subspan(1)) {
      Shape aligned = part.shape();
      if (aligned.size() == shape.size()) aligned[axis] = shape[axis];
      if (aligned != shape) {
        return Fail(
            Message("parts like ", std::span<const int64_t>(shape), " apart from axis ", axis),
            Message(std::span<const int64_t>(part.shape())));
      }
      shape[axis] += part.shape()[axis];
      if (!CheckedElements(shape))
        return Fail(Message("fewer than ", kMaxElements, " values"), "more");
    }
    std::vector<NodePtr> nodes;
    int depth = 0;
    for (Entry& part : parts) {
      nodes.push_back(std::move(part.node));
      depth = std::max(depth, part.depth + 1);
    }
    stack_.resize(stack_.size() - count);
    return Push(recipe::Concat(std::move(shape), axis, std::move(nodes)), depth);
  }

  Status Reshape(Entry of) {
    Shape shape;
    IRODORI_RETURN_IF_ERROR(ReadShape(shape));
    if (Elements(shape) != Elements(of.shape())) {
      return Fail(
          Message(Elements(of.shape()), " values of ", std::span<const int64_t>(of.shape())),
          Message(std::span<const int64_t>(shape)));
    }
    return Push(recipe::Reshape(std::move(shape), std::move(of.node)), of.depth + 1);
  }

  Status Permute(Entry of) {
    uint32_t rank;
    if (!reader_.Read(rank)) return Truncated();
    if (rank != of.shape().size())
      return Fail(Message("an order of ", of.shape().size(), " axes"), Message(rank));
    uint32_t seen = 0;
    std::vector<uint32_t> order;
    Shape shape;
    for (uint32_t i = 0; i < rank; ++i) {
      uint32_t axis;
      if (!reader_.Read(axis)) return Truncated();
      if (axis >= rank || (seen >> axis & 1) != 0) return Fail("every axis once", Message(axis));
      seen |= uint32_t{1} << axis;
      order.push_back(axis);
      shape.push_back(of.shape()[axis]);
    }
    return Push(recipe::Permute(std::move(shape), order, std::move(of.node)), of.depth + 1);
  }

  Status AddLowRank() {
    float scale;
    if (!reader_.Read(scale)) return Truncated();
    if (stack_.size() < 3) return Fail("three tensors on the stack", Message(stack_.size()));
    const std::span<Entry> top = std::span<Entry>(stack_).last(3);
    const Shape& of = top[0].shape();
    const Shape& up = top[1].shape();
    const Shape& down = top[2].shape();
    const bool fits = up.size() == 2 && !of.empty() && down.size() == of.size() && up[0] == of[0] &&
                      up[1] == down[0] && std::equal(of.begin() + 1, of.end(), down.begin() + 1);
    if (!fits) {
      return Fail(Message("[O, r] and [r, ...] for ", std::span<const int64_t>(of)),
                  Message(std::span<const int64_t>(up), " and ", std::span<const int64_t>(down)));
    }
    int depth = 0;
    for (const Entry& entry : top) depth = std::max(depth, entry.depth + 2);  // one may be held
    NodePtr sum = recipe::AddLowRank(std::move(top[0].node), std::move(top[1].node),
                                     std::move(top[2].node), scale);
    stack_.resize(stack_.size() - 3);
    return Push(std::move(sum), depth);
  }

  static constexpr int kMaxDepth = 256;

  ByteReader reader_;
  std::span<const std::shared_ptr<const SourceFile>> sources_;
  std::vector<Entry> stack_;
};

class ParsedRecipe final : public Recipe {
 public:
  explicit ParsedRecipe(NodePtr root) : root_(std::move(root)) {}
  const Shape& shape() const override { return root_->shape(); }
  Status Prepare(AbortFlag abort) override { return root_->Prepare(abort); }
  void Finish() const override { root_->Finish(); }
  Status Read(int64_t first, std::span<float> out, Scratch& scratch,
              AbortFlag abort) const override {
    return root_->Read(first, out, scratch, abort);
  }
  const Node& root() const { return *root_; }

 private:
  NodePtr root_;
};

Status NoMemory() {
  return {Code::kOutOfMemory, "recipe: expected memory for its tensors, got none"};
}

Result<std::unique_ptr<ParsedRecipe>> ParseRecipe(
    std::span<const std::byte> bytes, std::span<const std::shared_ptr<const SourceFile>> sources) {
  Result<NodePtr> root = Parser(bytes, sources).Parse();
  IRODORI_RETURN_IF_ERROR(root.status());
  return std::make_unique<ParsedRecipe>(std::move(root.value()));
}

}  // namespace

Result<std::unique_ptr<Recipe>> Recipe::Parse(
    std::span<const std::byte> bytes,
    std::span<const std::shared_ptr<const SourceFile>> sources) try {
  Result<std::unique_ptr<ParsedRecipe>> parsed = ParseRecipe(bytes, sources);
  IRODORI_RETURN_IF_ERROR(parsed.status());
  return std::unique_ptr<Recipe>(std::move(parsed.value()));
} catch (const std::bad_alloc&) {
  return NoMemory();
}

Result<HostTensor> EvaluateRecipe(std::span<const std::byte> bytes,
                                  std::span<const std::shared_ptr<const SourceFile>> sources,
                                  AbortFlag abort) try {
  IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
  const Result<std::unique_ptr<ParsedRecipe>> parsed = ParseRecipe(bytes, sources);
  IRODORI_RETURN_IF_ERROR(parsed.status());
  const Node& root = parsed.value()->root();
  const int64_t most = std::min(kMaxRecipeBytes, UsableMemoryBytes());
  const int64_t values = root.held() + root.size();
  if (values > most / static_cast<int64_t>(sizeof(float))) {
    return Status(Code::kOutOfMemory, Message("recipe: expected to hold at most ", most,
                                              " bytes at a time, got ", values, " values"));
  }
  IRODORI_RETURN_IF_ERROR(parsed.value()->Prepare(abort));
  HostTensor tensor{root.shape(), {}};
  IRODORI_RETURN_IF_ERROR(recipe::Allocate(root.size(), tensor.data, abort));
  IRODORI_RETURN_IF_ERROR(recipe::ReadAll(root, tensor.data, abort));
  parsed.value()->Finish();
  return tensor;
} catch (const std::bad_alloc&) {
  return NoMemory();
}

}  // namespace irodori

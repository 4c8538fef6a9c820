// Reads recipes into a checked tree of nodes; a stretch of the result is made of stretches of the
// operands, so that a large parameter never stands in memory as a whole in float32.
#include "native/core/recipe.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "native/core/bytes.h"
#include "native/core/message.h"
#include "native/core/shape.h"
#include "native/core/usable_memory.h"
#include "native/core/verify.h"

namespace irodori {
namespace {

int64_t ElementsAfter(const Shape& shape, size_t axis) {
  return Elements(std::span(shape).subspan(axis + 1));
}
int64_t ElementsBefore(const Shape& shape, size_t axis) {
  return Elements(std::span(shape).first(axis));
}

// One op with its operands. A node is read in stretches; one that must see more of an operand than
// was asked for reads whole blocks of it: what lies under the axes in front of which nothing
// changes.
class Node {
 public:
  explicit Node(Shape shape) : shape_(std::move(shape)) {}
  virtual ~Node() = default;
  const Shape& shape() const { return shape_; }
  int64_t size() const { return Elements(shape_); }

  virtual Status Prepare(AbortFlag abort) = 0;
  virtual void Finish() const = 0;
  virtual Status Read(int64_t first, std::span<float> out, Scratch& scratch,
                      AbortFlag abort) const = 0;
  // Values that reading needs in memory besides stretches.
  virtual int64_t held() const = 0;
  // How many values are made together, whatever is asked for.
  virtual int64_t block() const { return 1; }
  // The values, where they are in memory once prepared.
  virtual const float* whole() const { return nullptr; }

 private:
  Shape shape_;
};

using NodePtr = std::unique_ptr<Node>;

// Calls body(first, out) for stretches of at most kStretchValues, whole blocks each where a block
// is smaller.
template <typename Body>
Status InStretches(std::span<float> out, int64_t block, AbortFlag abort, const Body& body) {
  const int64_t most = std::max<int64_t>(kStretchValues / block, 1) * block;
  const auto size = static_cast<int64_t>(out.size());
  for (int64_t first = 0; first < size; first += most) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    IRODORI_RETURN_IF_ERROR(
        body(first, out.subspan(static_cast<size_t>(first),
                                static_cast<size_t>(std::min(most, size - first)))));
  }
  return Status::Ok();
}

// The whole of a node.
Status ReadAll(const Node& node, std::span<float> out, AbortFlag abort) {
  Scratch scratch;
  return InStretches(out, node.block(), abort, [&](int64_t first, std::span<float> part) {
    return node.Read(first, part, scratch, abort);
  });
}

// Zeros, a piece at a time.
Status Allocate(int64_t size, std::vector<float>& values, AbortFlag abort) {
  constexpr size_t kPiece = kAbortBytes / sizeof(float);
  values.reserve(static_cast<size_t>(size));
  while (static_cast<int64_t>(values.size()) < size) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    values.resize(std::min(static_cast<size_t>(size), values.size() + kPiece));
  }
  return Status::Ok();
}

class TensorNode final : public Node {
 public:
  TensorNode(Shape shape, std::shared_ptr<const SourceFile> file, int64_t begin, DType dtype)
      : Node(std::move(shape)), file_(std::move(file)), begin_(begin), dtype_(dtype) {}
  Status Prepare(AbortFlag) override {
    file_->Announce(begin_, size() * DTypeBytes(dtype_));
    return Status::Ok();
  }
  void Finish() const override { file_->DropPages(begin_, size() * DTypeBytes(dtype_)); }
  Status Read(int64_t first, std::span<float> out, Scratch& scratch,
              AbortFlag abort) const override {
    return file_->ReadFloats(begin_ + first * DTypeBytes(dtype_), dtype_, out, scratch, abort);
  }
  int64_t held() const override { return 0; }

 private:
  std::shared_ptr<const SourceFile> file_;
  int64_t begin_;
  DType dtype_;
};

// The values of a literal.
class LiteralNode final : public Node {
 public:
  LiteralNode(Shape shape, std::vector<float> values)
      : Node(std::move(shape)), values_(std::move(values)) {}
  Status Prepare(AbortFlag) override { return Status::Ok(); }
  void Finish() const override {}
  Status Read(int64_t first, std::span<float> out, Scratch&, AbortFlag) const override {
    std::copy_n(values_.begin() + first, out.size(), out.begin());
    return Status::Ok();
  }
  int64_t held() const override { return static_cast<int64_t>(values_.size()); }
  const float* whole() const override { return values_.data(); }

 private:
  std::vector<float> values_;
};

// The base of nodes with operands.
class OperandNode : public Node {
 public:
  OperandNode(Shape shape, std::vector<NodePtr> operands)
      : Node(std::move(shape)), operands_(std::move(operands)) {}
  Status Prepare(AbortFlag abort) override {
    for (NodePtr& operand : operands_) IRODORI_RETURN_IF_ERROR(operand->Prepare(abort));
    return Status::Ok();
  }
  void Finish() const override {
    for (const NodePtr& operand : operands_) operand->Finish();
  }
  int64_t held() const override {
    int64_t sum = 0;
    for (const NodePtr& operand : operands_) sum += operand->held();
    return sum;
  }

 protected:
  Node& operand(size_t index) const { return *operands_[index]; }
  size_t operands() const { return operands_.size(); }

 private:
  std::vector<NodePtr> operands_;
};

// A node whose blocks are too large to be read again for every stretch: made once.
class WholeNode final : public OperandNode {
 public:
  // The shape is read before the node is moved: arguments have no order.
  static NodePtr Of(NodePtr of) {
    Shape shape = of->shape();
    return std::make_unique<WholeNode>(std::move(shape), std::move(of));
  }
  WholeNode(Shape shape, NodePtr of) : OperandNode(std::move(shape), Only(std::move(of))) {}
  Status Prepare(AbortFlag abort) override {
    IRODORI_RETURN_IF_ERROR(OperandNode::Prepare(abort));
    IRODORI_RETURN_IF_ERROR(Allocate(size(), values_, abort));
    return ReadAll(operand(0), values_, abort);
  }
  Status Read(int64_t first, std::span<float> out, Scratch&, AbortFlag) const override {
    std::copy_n(values_.begin() + first, out.size(), out.begin());
    return Status::Ok();
  }
  int64_t held() const override { return OperandNode::held() + size() + operand(0).block(); }
  const float* whole() const override { return values_.data(); }

  static std::vector<NodePtr> Only(NodePtr of) {
    std::vector<NodePtr> one;
    one.push_back(std::move(of));
    return one;
  }

 private:
  std::vector<float> values_;
};

class ReshapeNode final : public OperandNode {
 public:
  ReshapeNode(Shape shape, NodePtr of)
      : OperandNode(std::move(shape), WholeNode::Only(std::move(of))) {}
  Status Read(int64_t first, std::span<float> out, Scratch& scratch,
              AbortFlag abort) const override {
    return operand(0).Read(first, out, scratch, abort);
  }
  int64_t block() const override { return operand(0).block(); }
};

// A node that makes whole blocks of its result.
class BlockNode : public OperandNode {
 public:
  BlockNode(Shape shape, int64_t block, std::vector<NodePtr> operands)
      : OperandNode(std::move(shape), std::move(operands)), block_(block) {}
  int64_t block() const final { return block_; }

  Status Read(int64_t first, std::span<float> out, Scratch& scratch, AbortFlag abort) const final {
    const auto count = static_cast<int64_t>(out.size());
    const int64_t from = first / block_;
    const int64_t to = (first + count + block_ - 1) / block_;
    if (first % block_ == 0 && count % block_ == 0) return Blocks(from, to, out, scratch, abort);
    Scratch::Loan<float> whole(scratch, (to - from) * block_);
    IRODORI_RETURN_IF_ERROR(Blocks(from, to, whole.values(), scratch, abort));
    std::copy_n(whole.values().begin() + (first - from * block_), count, out.begin());
    return Status::Ok();
  }

 protected:
  // Blocks [from, to) of the result.
  virtual Status Blocks(int64_t from, int64_t to, std::span<float> out, Scratch& scratch,
                        AbortFlag abort) const = 0;

 private:
  int64_t block_;
};

// Part of the first axis: a stretch of the operand, from value `skipped` on.
class RowsNode final : public OperandNode {
 public:
  RowsNode(Shape shape, int64_t skipped, NodePtr of)
      : OperandNode(std::move(shape), WholeNode::Only(std::move(of))), skipped_(skipped) {}
  Status Read(int64_t first, std::span<float> out, Scratch& scratch,
              AbortFlag abort) const override {
    return operand(0).Read(skipped_ + first, out, scratch, abort);
  }

 private:
  int64_t skipped_;
};

// Part of an inner axis.
class SliceNode final : public BlockNode {
 public:
  SliceNode(Shape shape, size_t axis, int64_t start, NodePtr of)
      : BlockNode(shape, ElementsAfter(shape, axis) * shape[axis], WholeNode::Only(std::move(of))),
        inner_(ElementsAfter(shape, axis)),
        start_(start),
        extent_(operand(0).shape()[axis]) {}

 protected:
  Status Blocks(int64_t from, int64_t to, std::span<float> out, Scratch& scratch,
                AbortFlag abort) const override {
    const int64_t wide = extent_ * inner_;
    const int64_t together = kStretchValues / wide;  // blocks read with what lies between them
    for (int64_t i = from; i < to;) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
      const std::span<float> rest = out.subspan(static_cast<size_t>((i - from) * block()));
      if (together < 2) {
        const auto part = rest.first(static_cast<size_t>(block()));
        IRODORI_RETURN_IF_ERROR(operand(0).Read(i * wide + start_ * inner_, part, scratch, abort));
        ++i;
        continue;
      }
      const int64_t count = std::min(together, to - i);
      Scratch::Loan<float> all(scratch, count * wide);
      IRODORI_RETURN_IF_ERROR(operand(0).Read(i * wide, all.values(), scratch, abort));
      for (int64_t k = 0; k < count; ++k) {
        std::copy_n(all.values().begin() + k * wide + start_ * inner_, block(),
                    rest.begin() + k * block());
      }
      i += count;
    }
    return Status::Ok();
  }

 private:
  int64_t inner_, start_, extent_;
};

// Tensors below one another.
class StackNode final : public OperandNode {
 public:
  StackNode(Shape shape, std::vector<NodePtr> parts)
      : OperandNode(std::move(shape), std::move(parts)) {}
  Status Read(int64_t first, std::span<float> out, Scratch& scratch,
              AbortFlag abort) const override {
    for (size_t i = 0; i < operands() && !out.empty(); ++i) {
      const int64_t size = operand(i).size();
      if (first < size) {
        const auto count = std::min(out.size(), static_cast<size_t>(size - first));
        IRODORI_RETURN_IF_ERROR(operand(i).Read(first, out.first(count), scratch, abort));
        out = out.subspan(count);
        first = 0;
      } else {
        first -= size;
      }
    }
    return Status::Ok();
  }
};

// Tensors beside one another along an inner axis.
class ConcatNode final : public BlockNode {
 public:
  ConcatNode(Shape shape, size_t axis, std::vector<NodePtr> parts)
      : BlockNode(shape, ElementsAfter(shape, axis) * shape[axis], std::move(parts)),
        inner_(ElementsAfter(shape, axis)),
        axis_(axis) {}

 protected:
  Status Blocks(int64_t from, int64_t to, std::span<float> out, Scratch& scratch,
                AbortFlag abort) const override {
    int64_t at = 0;
    for (size_t part = 0; part < operands(); ++part) {
      const int64_t piece = operand(part).shape()[axis_] * inner_;
      Scratch::Loan<float> values(scratch, (to - from) * piece);
      IRODORI_RETURN_IF_ERROR(operand(part).Read(from * piece, values.values(), scratch, abort));
      for (int64_t i = 0; i < to - from; ++i) {
        std::copy_n(values.values().begin() + i * piece, piece, out.begin() + i * block() + at);
      }
      at += piece;
    }
    return Status::Ok();
  }

 private:
  int64_t inner_;
  size_t axis_;
};

// Axes in another order; a block is what lies under the first axes that stay where they are.
class PermuteNode final : public BlockNode {
 public:
  PermuteNode(Shape shape, std::span<const uint32_t> order, NodePtr of)
      : BlockNode(shape, BlockOf(shape, order), WholeNode::Only(std::move(of))),
        rank_(order.size() - Kept(order)) {
    const Shape& old = operand(0).shape();
    for (size_t i = 0; i < rank_; ++i) {
      const size_t axis = order.size() - rank_ + i;
      sizes_[i] = shape[axis];
      strides_[i] = ElementsAfter(old, order[axis]);
    }
  }

  // How many axes at the front stay.
  static size_t Kept(std::span<const uint32_t> order) {
    size_t kept = 0;
    while (kept < order.size() && order[kept] == kept) ++kept;
    return kept;
  }

 protected:
  Status Blocks(int64_t from, int64_t to, std::span<float> out, Scratch& scratch,
                AbortFlag abort) const override {
    Scratch::Loan<float> old(scratch, (to - from) * block());
    IRODORI_RETURN_IF_ERROR(operand(0).Read(from * block(), old.values(), scratch, abort));
    for (int64_t i = 0; i < to - from; ++i) {
      IRODORI_RETURN_IF_ERROR(
          Permute(old.values().data() + i * block(), out.data() + i * block(), abort));
    }
    return Status::Ok();
  }

 private:
  static int64_t BlockOf(const Shape& shape, std::span<const uint32_t> order) {
    return Elements(std::span(shape).subspan(Kept(order)));
  }

  Status Permute(const float* from, float* to, AbortFlag abort) const {
    if (rank_ == 0) {
      *to = *from;
      return Status::Ok();
    }
    const int64_t run = sizes_[rank_ - 1];
    const int64_t stride = strides_[rank_ - 1];
    std::array<int64_t, kMaxRank> index = {};
    int64_t source = 0;
    int64_t looked = 0;
    for (int64_t done = 0; done < block(); done += run) {
      if (done - looked >= kStretchValues) {
        IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
        looked = done;
      }
      for (int64_t i = 0; i < run; ++i) to[done + i] = from[source + i * stride];
      for (size_t axis = rank_ - 1; axis-- > 0;) {
        source += strides_[axis];
        if (++index[axis] < sizes_[axis]) break;
        source -= strides_[axis] * sizes_[axis];
        index[axis] = 0;
      }
    }
    return Status::Ok();
  }

  size_t rank_;                                 // axes that move, at the end
  std::array<int64_t, kMaxRank> sizes_ = {};    // of the result
  std::array<int64_t, kMaxRank> strides_ = {};  // of the operand, in the result's order
};

// of + scale · up · down. Every sum is one chain in the order of the rank, on any machine.
class AddLowRankNode final : public BlockNode {
 public:
  // `down` is in memory.
  AddLowRankNode(Shape shape, std::vector<NodePtr> of_up_down, float scale)
      : BlockNode(shape, ElementsAfter(shape, 0), std::move(of_up_down)),
        rank_(operand(1).shape()[1]),
        scale_(scale) {}

 protected:
  Status Blocks(int64_t from, int64_t to, std::span<float> out, Scratch& scratch,
                AbortFlag abort) const override {
    IRODORI_RETURN_IF_ERROR(operand(0).Read(from * block(), out, scratch, abort));
    Scratch::Loan<float> up(scratch, (to - from) * rank_);
    IRODORI_RETURN_IF_ERROR(operand(1).Read(from * rank_, up.values(), scratch, abort));
    const float* down = operand(2).whole();
    for (int64_t i = 0; i < to - from; ++i) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
      AddRow(up.values().data() + i * rank_, down, out.data() + i * block());
    }
    return Status::Ok();
  }

 private:
  // Four terms for each time that y is read and written.
  void AddRow(const float* u, const float* down, float* y) const {
    const int64_t n = block();
    int64_t r = 0;
    for (; r + 4 <= rank_; r += 4) {
      const float *a = down + r * n, *b = a + n, *c = b + n, *d = c + n;
      const float p = scale_ * u[r], q = scale_ * u[r + 1], s = scale_ * u[r + 2],
                  t = scale_ * u[r + 3];
      for (int64_t j = 0; j < n; ++j) {
        y[j] = (((y[j] + p * a[j]) + q * b[j]) + s * c[j]) + t * d[j];
      }
    }
    for (; r < rank_; ++r) {
      const float factor = scale_ * u[r];
      for (int64_t j = 0; j < n; ++j) y[j] += factor * down[r * n + j];
    }
  }

  int64_t rank_;
  float scale_;
};

// Form and shapes, without touching a file's contents: bytes to nodes.
class Parser {
 public:
  Parser(std::span<const std::byte> recipe,
         std::span<const std::shared_ptr<const SourceFile>> sources)
      : reader_(recipe), sources_(sources) {}

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
    if (node->block() > kStretchValues) node = WholeNode::Of(std::move(node));
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
    return Push(std::make_unique<TensorNode>(std::move(shape), sources_[source], begin, dtype), 1);
  }

  Status Literal() {
    Shape shape;
    IRODORI_RETURN_IF_ERROR(ReadShape(shape));
    const auto size = static_cast<size_t>(Elements(shape));
    std::span<const std::byte> bytes;
    if (!reader_.ReadBytes(size * sizeof(float), bytes)) return Truncated();
    std::vector<float> values(size);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return Push(std::make_unique<LiteralNode>(std::move(shape), std::move(values)), 1);
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
    const int depth = of.depth + 1;
    if (ElementsBefore(shape, axis) == 1) {  // what is left is one stretch
      const int64_t skipped = start * ElementsAfter(shape, axis);
      return Push(std::make_unique<RowsNode>(std::move(shape), skipped, std::move(of.node)), depth);
    }
    return Push(std::make_unique<SliceNode>(std::move(shape), axis, start, std::move(of.node)),
                depth);
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
    if (ElementsBefore(shape, axis) == 1)
      return Push(std::make_unique<StackNode>(std::move(shape), std::move(nodes)), depth);
    return Push(std::make_unique<ConcatNode>(std::move(shape), axis, std::move(nodes)), depth);
  }

  Status Reshape(Entry of) {
    Shape shape;
    IRODORI_RETURN_IF_ERROR(ReadShape(shape));
    if (Elements(shape) != Elements(of.shape())) {
      return Fail(
          Message(Elements(of.shape()), " values of ", std::span<const int64_t>(of.shape())),
          Message(std::span<const int64_t>(shape)));
    }
    return Push(std::make_unique<ReshapeNode>(std::move(shape), std::move(of.node)), of.depth + 1);
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
    return Push(std::make_unique<PermuteNode>(std::move(shape), order, std::move(of.node)),
                of.depth + 1);
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
    std::vector<NodePtr> nodes;
    int depth = 0;
    for (Entry& entry : top) {
      nodes.push_back(std::move(entry.node));
      depth = std::max(depth, entry.depth + 2);  // one for the factor that is held
    }
    if (nodes[2]->whole() == nullptr) nodes[2] = WholeNode::Of(std::move(nodes[2]));
    stack_.resize(stack_.size() - 3);
    Shape shape = nodes[0]->shape();
    return Push(std::make_unique<AddLowRankNode>(std::move(shape), std::move(nodes), scale), depth);
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
    std::span<const std::byte> recipe, std::span<const std::shared_ptr<const SourceFile>> sources) {
  Result<NodePtr> root = Parser(recipe, sources).Parse();
  IRODORI_RETURN_IF_ERROR(root.status());
  return std::make_unique<ParsedRecipe>(std::move(root.value()));
}

}  // namespace

Result<std::unique_ptr<Recipe>> Recipe::Parse(
    std::span<const std::byte> recipe,
    std::span<const std::shared_ptr<const SourceFile>> sources) try {
  Result<std::unique_ptr<ParsedRecipe>> parsed = ParseRecipe(recipe, sources);
  IRODORI_RETURN_IF_ERROR(parsed.status());
  return std::unique_ptr<Recipe>(std::move(parsed.value()));
} catch (const std::bad_alloc&) {
  return NoMemory();
}

Result<HostTensor> EvaluateRecipe(std::span<const std::byte> recipe,
                                  std::span<const std::shared_ptr<const SourceFile>> sources,
                                  AbortFlag abort) try {
  IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
  const Result<std::unique_ptr<ParsedRecipe>> parsed = ParseRecipe(recipe, sources);
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
  IRODORI_RETURN_IF_ERROR(Allocate(root.size(), tensor.data, abort));
  IRODORI_RETURN_IF_ERROR(ReadAll(root, tensor.data, abort));
  parsed.value()->Finish();
  return tensor;
} catch (const std::bad_alloc&) {
  return NoMemory();
}

}  // namespace irodori

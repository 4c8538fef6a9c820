// What each op of a recipe reads of its operands for a stretch of its result.
#include "native/core/recipe_nodes.h"

#include <algorithm>
#include <array>

#include "native/core/rounding.h"
#include "native/core/value_source.h"

namespace irodori::recipe {
namespace {

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

std::vector<NodePtr> Only(NodePtr of) {
  std::vector<NodePtr> one;
  one.push_back(std::move(of));
  return one;
}

// A node whose blocks are too large to be read again for every stretch: made once.
class WholeNode final : public OperandNode {
 public:
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

 private:
  std::vector<float> values_;
};

class ReshapeNode final : public OperandNode {
 public:
  ReshapeNode(Shape shape, NodePtr of) : OperandNode(std::move(shape), Only(std::move(of))) {}
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
    const int64_t to = CeilDiv(first + count, block_);
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
      : OperandNode(std::move(shape), Only(std::move(of))), skipped_(skipped) {}
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
      : BlockNode(shape, ElementsAfter(shape, axis) * shape[axis], Only(std::move(of))),
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
      : BlockNode(shape, BlockOf(shape, order), Only(std::move(of))),
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

}  // namespace

Status ReadAll(const Node& node, std::span<float> out, AbortFlag abort) {
  Scratch scratch;
  return InStretches(out, node.block(), abort, [&](int64_t first, std::span<float> part) {
    return node.Read(first, part, scratch, abort);
  });
}

Status Allocate(int64_t size, std::vector<float>& values, AbortFlag abort) {
  constexpr size_t kPiece = kAbortBytes / sizeof(float);
  values.reserve(static_cast<size_t>(size));
  while (static_cast<int64_t>(values.size()) < size) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    values.resize(std::min(static_cast<size_t>(size), values.size() + kPiece));
  }
  return Status::Ok();
}

NodePtr Tensor(Shape shape, std::shared_ptr<const SourceFile> file, int64_t begin, DType dtype) {
  return std::make_unique<TensorNode>(std::move(shape), std::move(file), begin, dtype);
}

NodePtr Literal(Shape shape, std::vector<float> values) {
  return std::make_unique<LiteralNode>(std::move(shape), std::move(values));
}

NodePtr Whole(NodePtr of) {
  Shape shape = of->shape();  // before the node is moved: arguments have no order
  return std::make_unique<WholeNode>(std::move(shape), std::move(of));
}

NodePtr Reshape(Shape shape, NodePtr of) {
  return std::make_unique<ReshapeNode>(std::move(shape), std::move(of));
}

NodePtr Slice(Shape shape, size_t axis, int64_t start, NodePtr of) {
  if (ElementsBefore(shape, axis) == 1) {  // what is left is one stretch
    const int64_t skipped = start * ElementsAfter(shape, axis);
    return std::make_unique<RowsNode>(std::move(shape), skipped, std::move(of));
  }
  return std::make_unique<SliceNode>(std::move(shape), axis, start, std::move(of));
}

NodePtr Concat(Shape shape, size_t axis, std::vector<NodePtr> parts) {
  if (ElementsBefore(shape, axis) == 1)
    return std::make_unique<StackNode>(std::move(shape), std::move(parts));
  return std::make_unique<ConcatNode>(std::move(shape), axis, std::move(parts));
}

NodePtr Permute(Shape shape, std::span<const uint32_t> order, NodePtr of) {
  return std::make_unique<PermuteNode>(std::move(shape), order, std::move(of));
}

NodePtr AddLowRank(NodePtr of, NodePtr up, NodePtr down, float scale) {
  if (down->whole() == nullptr) down = Whole(std::move(down));
  Shape shape = of->shape();
  std::vector<NodePtr> operands;
  for (NodePtr* operand : {&of, &up, &down}) operands.push_back(std::move(*operand));
  return std::make_unique<AddLowRankNode>(std::move(shape), std::move(operands), scale);
}

}  // namespace irodori::recipe

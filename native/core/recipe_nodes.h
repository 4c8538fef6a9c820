// The ops of recipes as nodes: a stretch of the result is made of stretches of the operands, so
// that a large parameter never stands in memory as a whole in float32.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "native/core/abort.h"
#include "native/core/program.h"
#include "native/core/scratch.h"
#include "native/core/shape.h"
#include "native/core/source_file.h"
#include "native/core/status.h"

namespace irodori::recipe {

inline int64_t ElementsAfter(const Shape& shape, size_t axis) {
  return Elements(std::span(shape).subspan(axis + 1));
}
inline int64_t ElementsBefore(const Shape& shape, size_t axis) {
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

// Values [begin, ...) of a file, of a type that can be read.
NodePtr Tensor(Shape shape, std::shared_ptr<const SourceFile> file, int64_t begin, DType dtype);
NodePtr Literal(Shape shape, std::vector<float> values);
// A node whose blocks are too large to be read again for every stretch: made once.
NodePtr Whole(NodePtr of);
NodePtr Reshape(Shape shape, NodePtr of);
// `shape` is that of `of` but for the size of `axis`, which begins at `start` there.
NodePtr Slice(Shape shape, size_t axis, int64_t start, NodePtr of);
NodePtr Concat(Shape shape, size_t axis, std::vector<NodePtr> parts);
// Axis i of the result is axis order[i] of the operand.
NodePtr Permute(Shape shape, std::span<const uint32_t> order, NodePtr of);
// of + scale · up · down: [O, ...rest], [O, r] and [r, ...rest].
NodePtr AddLowRank(NodePtr of, NodePtr up, NodePtr down, float scale);

// Zeros, a piece at a time.
Status Allocate(int64_t size, std::vector<float>& values, AbortFlag abort);
// The whole of a prepared node.
Status ReadAll(const Node& node, std::span<float> out, AbortFlag abort);

}  // namespace irodori::recipe

// y[i0, i1, ...] = x[offset + i0·s0 + i1·s1 + ...] in elements of the dense x: permutations,
// slices, patches.
#include <vector>

#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

Status StridedCopy(const KernelArgs& args, Values& y) {
  const Values& x = *args.operands[0];
  const auto rank = static_cast<size_t>(args.integer(1));
  const auto columns = static_cast<size_t>(y.columns());
  std::vector<int64_t> index(rank, 0);
  for (size_t i = 0; i < y.data.size(); ++i) {
    if (i % columns == 0) IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
    int64_t source = args.integer(0);
    for (size_t axis = 0; axis < rank; ++axis)
      source += index[axis] * args.integer(2 + rank + axis);
    y.data[i] = x.data[source];
    for (size_t axis = rank; axis-- > 0;) {  // the next index, row-major
      if (++index[axis] < args.integer(2 + axis)) break;
      index[axis] = 0;
    }
  }
  return Status::Ok();
}

}  // namespace irodori::reference

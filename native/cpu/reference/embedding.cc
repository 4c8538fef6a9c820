// y[l] = table[ids[l]]; ids outside the table fail the run.
#include <algorithm>

#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

Status Embedding(const KernelArgs& args, Values& y) {
  const Values& table = *args.operands[1];  // [V, D]
  const int64_t V = table.vectors(), D = table.columns(), L = y.vectors();
  for (int64_t l = 0; l < L; ++l) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
    Result<int64_t> id = ReadId(args.rows[0], l, V, args.step.at);
    IRODORI_RETURN_IF_ERROR(id.status());
    std::copy_n(&table.data[id.value() * D], D, &y.data[l * D]);
  }
  return Status::Ok();
}

}  // namespace irodori::reference

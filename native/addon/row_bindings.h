// Reads what a run is given and gives: typed arrays by pointer, buffer handles, checked against the
// program's ports.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "native/addon/environment.h"
#include "native/addon/resource.h"

namespace irodori::addon {

struct BoundRows {
  std::vector<RowBinding> inputs;                        // port-major
  std::vector<RowBinding> outputs;                       // likewise
  std::vector<std::shared_ptr<BufferResource>> buffers;  // kept alive
  napi_value held = nullptr;  // a JS array of every typed array that is pointed into
};

// `inputs` and `outputs` are JS arrays, port-major, `rows` values for each port. kMissingInput for
// a wrong count, kDtypeMismatch, kShapeMismatch, kInvalidArgument for memory that cannot be lent,
// kDisposed.
Result<BoundRows> ReadRows(Environment& environment, const DeviceResource& device,
                           const Program& program, int64_t rows, napi_value inputs,
                           napi_value outputs);

}  // namespace irodori::addon

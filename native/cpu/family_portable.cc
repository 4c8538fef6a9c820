// The `portable` kernel family: no instructions beyond the compiler's baseline, vectors of four
// floats, multiply and add apart.
#define IRODORI_FAMILY portable
#define IRODORI_LANES 4
#include "native/cpu/family_table.h"

namespace irodori::cpu {

const KernelTable& PortableKernels() {
  static const KernelTable table = portable::MakeTable("portable");
  return table;
}

}  // namespace irodori::cpu

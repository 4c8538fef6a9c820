// The peak of the `portable` family: multiplications and additions apart.
#define IRODORI_FAMILY portable
#define IRODORI_LANES 4
#include "native/cpu/peak_fma.h"

namespace irodori::cpu::portable {

const Peak kFmaPeak{"fma_portable", kFmaWork, kFmaBytes, &FmaPiece};

}  // namespace irodori::cpu::portable

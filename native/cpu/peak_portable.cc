// The peak of the `portable` family: multiplications and additions apart.
#define IRODORI_FAMILY portable
#define IRODORI_LANES 4
#include "native/cpu/peak_chains.h"

namespace irodori::cpu::portable {

const Peak kFmaPeak = ChainsPeak<F, MultiplyAdd>("fma_portable", kLanes);

}  // namespace irodori::cpu::portable

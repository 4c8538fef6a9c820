// The bf16 matrix product of the `amx` family.
#define IRODORI_FAMILY amx
#define IRODORI_LANES 16
#define IRODORI_TILE_ROWS 1
#include "native/cpu/gemm/tile_gemm.h"

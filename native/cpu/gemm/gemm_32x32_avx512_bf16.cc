// The bf16 matrix product of the `avx512_bf16` family.
#define IRODORI_FAMILY avx512_bf16
#define IRODORI_LANES 16
#define IRODORI_TILE_ROWS 1
#define IRODORI_VECTOR_TILES
#include "native/cpu/gemm/tile_gemm.h"

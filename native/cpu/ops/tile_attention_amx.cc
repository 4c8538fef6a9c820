// Attention of the `amx` family in bf16.
#define IRODORI_FAMILY amx
#define IRODORI_LANES 16
#define IRODORI_TILE_ROWS 1
#include "native/cpu/ops/tile_attention.h"

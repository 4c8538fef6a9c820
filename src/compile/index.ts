/** The compiler's public names. */

export * from './artifact'
export type { Capabilities } from './capabilities'
export { type CompiledGraph, type CompileOptions, compile, type NetworkDType } from './compile'
export { encodeProgram } from './encode'
export { EPILOGUE_OPS, type EpilogueName, KERNELS, type KernelName, type KernelSpec } from './kernels'
export { CUT_SETS, type CutSet } from './passes/cut'
export { printProgram } from './print'
export * from './program'
export { PROGRAM_INVARIANTS, type ProgramInvariant, verifyProgram } from './verify'

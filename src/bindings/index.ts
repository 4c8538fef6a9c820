/** The native side as the rest of the package sees it. */

export type { DeviceMemory } from './addon'
export { type Device, DeviceBuffer, type DeviceInfo, type DeviceOptions, openDevice } from './device'
export { DeviceWeights, type LoadOptions, type LoadProgress } from './deviceWeights'
export { type Executable, loadExecutable, type RowValue, type RunRequest } from './executable'
export { loadNetwork, type Network, type NetworkMemory, type NetworkOptions, type NetworkRow } from './network'
export { readSafetensorsIndex } from './safetensorsIndex'

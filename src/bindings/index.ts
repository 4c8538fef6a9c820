/** The native side as the rest of the package sees it. */

export type { DeviceMemory } from './addon'
export { type Device, DeviceBuffer, type DeviceInfo, type DeviceOptions, openDevice } from './device'
export { DeviceWeights, type LoadOptions, type LoadProgress } from './deviceWeights'
export { type Executable, loadExecutable, type RowValue, type RunRequest } from './executable'
export {
  loadNetwork,
  type Network,
  type NetworkMemory,
  type NetworkOptions,
  type NetworkRow,
  type NetworkRunOptions,
} from './network'
export type { NetworkInputs, NetworkValue } from './networkInputs'
export type { NetworkState } from './networkState'
export type { PartTimes } from './partStates'
export { readSafetensorsIndex } from './safetensorsIndex'

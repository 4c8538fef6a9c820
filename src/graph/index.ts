/** Graphs: values, ops, recipes, and how to print, verify and cost them. */

export * from './cost'
export * from './graph'
export {
  applyOp,
  bytesOf,
  defineOp,
  type Fail,
  type OpCall,
  type OpDefinition,
  opDefinition,
  opDefinitions,
} from './op'
export * from './ops'
export { printGraph, printType } from './print'
export * from './recipe'
export { recipeText } from './recipeText'
export * from './value'
export { GRAPH_INVARIANTS, type GraphInvariant, verifyGraph } from './verify'

/** `irodori inspect`: what is in a model. */

import { Command } from 'commander'
import { openDevice } from '../bindings/device'
import type { Capabilities } from '../compile/capabilities'
import type { Quantization } from '../compile/passes/quantize'
import { EngineError } from '../errors'
import { resolveModel } from '../pipelines/bundled'
import { type ComponentReport, inspectModel, type ModelReport, type NetworkReport } from '../pipelines/inspect'
import { describeProvenance } from './describeProvenance'
import { quantizeOption } from './deviceOptions'
import { formatBytes, formatCount, formatMs, formatTable, printJson, unusedLine } from './output'

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('what is in a model: components, parameters, arithmetic, memory, licences, where it comes from')
    .argument('<model>', 'a bundled model, a diffusers folder, a component’s folder or a safetensors file')
    .addOption(quantizeOption('run every network as it is and quantised: error and speed'))
    .option('--json', 'print one JSON document and nothing else')
    .action(async (model: string, flags: { json?: boolean; quantize?: Quantization }) => {
      const { quantize: how = 'none' } = flags
      const device = describeDevice()
      using runs = how === 'none' ? undefined : openDevice()
      const quantize = runs && { device: runs, how }
      const report = await inspectModel(resolveModel(model).folder, device.capabilities, { quantize })
      if (flags.json) printJson({ ...report, plannedFor: device.name })
      else process.stdout.write(`${describe(report, device.name)}\n`)
    })
}

/** The device memory is planned for; none where there is no addon. */
function describeDevice(): { readonly name: string; readonly capabilities?: Capabilities } {
  try {
    using device = openDevice()
    const { backend, arithmetic } = device.info
    return { name: `${backend} (${arithmetic})`, capabilities: device.capabilities }
  } catch (error) {
    if (error instanceof EngineError) return { name: `none (${error.code})` }
    throw error
  }
}

function describe(report: ModelReport, device: string): string {
  const header = ['component', 'class', 'parameters', 'stored', 'flops', 'of them per step', 'weights', 'work space']
  const networks = report.components.filter(({ network }) => network !== undefined)
  const others = report.components.filter(({ network }) => network === undefined)
  const lines = [
    `${report.path}${report.className ? `  (${report.className})` : ''}`,
    '',
    formatTable([header, ...networks.map(row)]),
    '',
    ...networks.flatMap(partLines),
    ...networks.flatMap(({ name, network }) => unusedLine(network?.unused ?? []).map((line) => `${name}: ${line}`)),
    ...others.map(({ name, className, problem }) => `${name}: ${className}${problem ? `; ${problem}` : ''}`),
    `memory is planned for ${device}; work space is for one row and one picture, weights as the device keeps them`,
  ]
  if (report.licences.length > 0) lines.push('', 'licences:')
  for (const { file, title } of report.licences) lines.push(`  ${file}: ${title}`)
  if (report.provenance !== undefined) lines.push('', ...describeProvenance(report.provenance))
  return lines.join('\n')
}

function row({ name, className, network }: ComponentReport): string[] {
  if (network === undefined) return [name, className]
  const { parameters, stored, fileBytes, flops, memory } = network
  return [
    name,
    className,
    formatCount(parameters),
    `${stored} ${formatBytes(fileBytes)}`,
    formatCount(flops),
    isCut(network) ? formatCount(rowFlops(network)) : '-',
    memory ? `${memory.dtype} ${formatBytes(memory.weightsBytes)}` : '-',
    memory ? formatBytes(memory.arenaBytesPerRow) : '-',
  ]
}

/** What need not run for every row of every step, and the bytes of what does. */
function partLines({ name, network }: ComponentReport): string[] {
  if (network === undefined) return []
  const lines = [...cutLine(name, network), ...trafficLine(name, network), ...quantizedLines(name, network)]
  return lines.length > 0 ? [...lines, ''] : []
}

function cutLine(name: string, network: NetworkReport): string[] {
  if (!isCut(network)) return []
  const total = network.flops
  const parts = network.parts
    .filter(({ runs }) => runs !== 'row')
    .map(({ runs, flops, traffic }) => {
      const bytes = traffic ? ` and ${formatBytes(traffic.movedBytes)}` : ''
      return `${formatCount(flops)}${bytes} once per ${runs.replace('+', ' and ')}`
    })
  const share = ((1 - rowFlops(network) / total) * 100).toFixed(1)
  return [`${name}: ${share} % of ${formatCount(total)} cut out of every step: ${parts.join(', ')}`]
}

function trafficLine(name: string, network: NetworkReport): string[] {
  const rows = network.parts.flatMap(({ runs, traffic }) => (runs === 'row' && traffic ? [traffic] : []))
  if (rows.length === 0) return []
  const moved = rows.reduce((sum, { movedBytes }) => sum + movedBytes, 0)
  const fused = rows.reduce((sum, { fusedBytes }) => sum + fusedBytes, 0)
  const whose = isCut(network) ? 'a row of a step' : 'a row'
  const share = moved > 0 ? ((100 * fused) / moved).toFixed(1) : '100'
  return [`${name}: ${whose} reads and writes ${formatBytes(moved)}, perfectly fused ${share} % of them`]
}

function quantizedLines(name: string, { quantized = [] }: NetworkReport): string[] {
  return quantized.map(({ part, quantize, products, error, ms: [plain, faster], speedup }) => {
    const whose = part === undefined ? name : `${name}.${part}`
    const speed = `${speedup.toFixed(2)} times as fast, ${formatMs(faster)} instead of ${formatMs(plain)}`
    return `${whose}: ${quantize}, ${products.quantized} of ${products.all} products: error ${(100 * error).toFixed(2)} %, ${speed}`
  })
}

function isCut(network: NetworkReport): boolean {
  return network.parts.some(({ runs }) => runs !== 'row')
}

function rowFlops(network: NetworkReport): number {
  return network.parts.reduce((sum, { runs, flops }) => (runs === 'row' ? sum + flops : sum), 0)
}

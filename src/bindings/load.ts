/** Finds and loads the addon, at first use; a failure is one error that says what was tried and what to do. */

import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { EngineError } from '../errors'
import type { Addon } from './addon'

const requireHere = createRequire(__filename)
const packageRoot = path.resolve(__dirname, '..', '..')

let loaded: Addon | undefined

/**
 * The addon of this process. The environment variable `IRODORI_ADDON` names a `.node` file to load instead of the one
 * that came with the package.
 *
 * Throws `unavailable-binding`.
 */
export function addon(): Addon {
  loaded ??= load(process.env.IRODORI_ADDON)
  return loaded
}

/** The `.node` file that {@link addon} loads. Throws when there is none. */
export function addonPath(): string {
  const override = process.env.IRODORI_ADDON
  return override ? path.resolve(override) : findAddon()
}

function load(override: string | undefined): Addon {
  try {
    return requireHere(override ? path.resolve(override) : findAddon())
  } catch (cause) {
    throw unavailable(override, cause)
  }
}

function findAddon(): string {
  const nodeGypBuild: { path(root: string): string } = requireHere('node-gyp-build')
  return nodeGypBuild.path(packageRoot)
}

function unavailable(override: string | undefined, cause: unknown): EngineError {
  const { platform, arch, versions } = process
  const libc = libcName()
  const tried = override ? [path.resolve(override)] : placesTried(platform, arch)
  const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
  const remedies = override
    ? ['unset IRODORI_ADDON, or build the file it names']
    : [
        'in a checkout: npm run build:native (needs a C++20 compiler)',
        'as a dependency: npm install irodori again on this platform (node_modules made elsewhere do not fit)',
        'when Node was started with --no-addons: start it without',
      ]
  return new EngineError(
    'unavailable-binding',
    [
      `irodori: expected a native addon for ${platform}-${arch} (${libc}, Node ${versions.node}, ABI ${versions.modules}), got: ${reason}`,
      'tried:',
      ...tried.map((place) => `  ${place}`),
      'what helps:',
      ...remedies.map((remedy) => `  ${remedy}`),
    ].join('\n'),
    { platform, arch, libc, node: versions.node, abi: versions.modules, tried, cause },
  )
}

/** Where node-gyp-build looks, with what is there. */
function placesTried(platform: string, arch: string): string[] {
  return [
    path.join(packageRoot, 'build', 'Release'),
    path.join(packageRoot, 'build', 'Debug'),
    path.join(packageRoot, 'prebuilds', `${platform}-${arch}`),
    path.join(path.dirname(process.execPath), 'prebuilds', `${platform}-${arch}`),
  ].map((folder) => {
    if (!existsSync(folder)) return `${folder} (no such folder)`
    const files = readdirSync(folder).filter((file) => file.endsWith('.node'))
    return `${folder} (${files.length > 0 ? files.join(', ') : 'no .node file'})`
  })
}

function libcName(): string {
  if (process.platform !== 'linux') return 'system libc'
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  const version = report?.header?.glibcVersionRuntime
  return version ? `glibc ${version}` : 'musl'
}

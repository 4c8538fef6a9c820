/** Networks by size: who is told of loading, what is kept, when everything is freed. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../../src/bindings'
import { type ComponentModel, openComponent } from '../../../src/pipelines/componentModel'
import { ComponentNetworks } from '../../../src/pipelines/componentNetworks'
import { goldenCases } from '../../golden/cases'

const folder = goldenCases().find((golden) => golden.net === 'pixart' && golden.case === 'sigma')?.folder ?? ''
const at = (side: number) => ({ sizes: { height: side, width: side, textLength: 7 } })

describe('ComponentNetworks', () => {
  let device: Device
  let model: ComponentModel
  beforeAll(async () => {
    device = openDevice({ device: 'cpu' })
    model = await openComponent(folder, 'transformer')
  })
  afterAll(() => device.dispose())
  const settled = () => new Promise((resolve) => setTimeout(resolve, 20))

  it('tells the call that loads how far it is, and nobody else', async () => {
    const networks = new ComponentNetworks(device, model, { dtype: 'f32' })
    let told = 0
    const first = await networks.lease(at(4), { onProgress: () => told++ })
    expect(told).toBeGreaterThan(0)
    const before = told
    const others = [await networks.lease(at(4)), await networks.lease(at(6))]
    expect(told).toBe(before)
    expect(others[0]?.network).toBe(first.network)
    for (const lease of [first, ...others]) lease[Symbol.dispose]()
    networks.dispose()
  })

  it('keeps networks in use beyond its bound, and one network per size', async () => {
    const networks = new ComponentNetworks(device, model, { dtype: 'f32' })
    const first = await networks.lease(at(2))
    const held = [first]
    for (let side = 4; side <= 24; side += 2) held.push(await networks.lease(at(side)))
    expect(networks.memory().networks).toBe(12)
    const again = await networks.lease(at(2))
    expect(again.network).toBe(first.network)
    for (const lease of [...held, again, again]) lease[Symbol.dispose]()
    await settled()
    expect(networks.memory().networks).toBe(8)
    networks.dispose()
    await settled()
    expect(networks.memory().networks).toBe(0)
  })

  it('refuses a form that the network does not have, and counts no user for it', async () => {
    const networks = new ComponentNetworks(device, model, { dtype: 'f32' })
    await expect(networks.lease({ ...at(4), form: 'controlled' })).rejects.toMatchObject({
      code: 'invalid-argument',
      message:
        'network: expected one that residuals can be added to, got component "transformer" (PixArtTransformer2DModel)',
    })
    let free = false
    networks.dispose(() => {
      free = true
    })
    expect(free).toBe(true)
  })

  it('frees everything when the last lease is given back', async () => {
    const networks = new ComponentNetworks(device, model, { dtype: 'f32' })
    const lease = await networks.lease(at(4))
    let free = false
    networks.dispose(() => {
      free = true
    })
    networks.dispose()
    expect(free).toBe(false)
    await expect(networks.lease(at(4))).rejects.toMatchObject({ code: 'disposed' })
    expect(networks.memory().packBytes).toBeGreaterThan(0)
    lease[Symbol.dispose]()
    expect(free).toBe(true)
    expect(networks.memory().packBytes).toBe(0)
  })

  it('forgets a network whose loading nobody waited for', async () => {
    const networks = new ComponentNetworks(device, model, { dtype: 'f32' })
    const controller = new AbortController()
    const pending = networks.lease(at(4), { signal: controller.signal })
    controller.abort()
    await expect(pending).rejects.toMatchObject({ code: 'ABORT_ERR' })
    const lease = await networks.lease(at(4))
    lease[Symbol.dispose]()
    await settled()
    expect(networks.memory().networks).toBe(1)
    networks.dispose()
  })
})

/** Pictures cut out of white look the same on white again. */

import { expect, it } from 'vitest'
import { makeImage } from '../../../src/images/image'
import { cutOut, fromGrey, layOn, splitOpacity, toGrey, WHITE, withOpacity } from '../../../src/images/opacity'

it('a picture cut out of white has its own colours, and on white those it had', async () => {
  const [things, opacity, onWhite] = [[] as number[], [] as number[], [] as number[]]
  for (let a = 0; a <= 20; a++) {
    for (const thing of [0, 0.2, 0.5, 1]) {
      opacity.push(a / 20)
      things.push(thing)
      onWhite.push(...[thing, 0.25, 1].map((colour) => (colour * a) / 20 + 1 - a / 20))
    }
  }
  const rgba = await cutOut(Float32Array.from(onWhite), Float32Array.from(opacity))
  for (const [i, a] of opacity.entries()) {
    const [r = 0, , b = 0, alpha = 0] = rgba.subarray(i * 4, i * 4 + 4)
    expect(Math.abs(alpha - a * 255)).toBeLessThanOrEqual(0.5001) // a is rounded to float32 before
    expect(b).toBe(255)
    if (a === 0) expect(r).toBe(255)
    // Half a byte of rounding on white, and of opacity, grow by 1 / a.
    else expect(Math.abs(r - (things[i] ?? 0) * 255)).toBeLessThanOrEqual(0.5 + 1 / a)
  }
  const { data, channels } = await layOn(makeImage(rgba, opacity.length, 1, undefined, 4), WHITE)
  expect(channels).toBe(3)
  const worst = Math.max(...data.map((value, i) => Math.abs(value - (onWhite[i] ?? 0) * 255)))
  expect(worst).toBeLessThanOrEqual(1)
})

it('what a network says beyond the range is cut', async () => {
  const rgba = await cutOut(Float32Array.of(-1, 2, 0.5, 0, 0, 0), Float32Array.of(2, -1))
  expect([...rgba]).toEqual([0, 255, 128, 255, 255, 255, 255, 0])
  // Darker on white than its opacity allows: as dark as can be.
  expect([...(await cutOut(Float32Array.of(0, 1, 1), Float32Array.of(0.5)))]).toEqual([0, 255, 255, 128])
})

it('colours and opacity are taken apart', async () => {
  const { colours, opacity } = await splitOpacity(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8))
  expect([...colours]).toEqual([1, 2, 3, 5, 6, 7])
  expect([...opacity]).toEqual([4, 8])
})

it('opacity becomes a grey picture, and a nearly grey one opacity', async () => {
  const grey = await toGrey(Float32Array.of(0.25, 1))
  expect([...grey]).toEqual([0.25, 0.25, 0.25, 1, 1, 1])
  expect([...(await fromGrey(Float32Array.of(0.25, 0.5, 0.75, 1, 1, 1)))]).toEqual([0.5, 1])
})

it('a picture without opacity hides all, and shows as it is', async () => {
  const image = makeImage(Uint8Array.of(1, 2, 3, 4, 5, 6), 2, 1)
  expect([...(await withOpacity(image)).data]).toEqual([1, 2, 3, 255, 4, 5, 6, 255])
  expect(await layOn(image, [0, 0, 0])).toBe(image)
  expect([...(await layOn(await withOpacity(image), [0, 0, 0])).data]).toEqual([...image.data])
})

it('many pixels are handled in turns', async () => {
  const side = 300
  const rgba = await cutOut(new Float32Array(side * side * 3).fill(0.5), new Float32Array(side * side).fill(1))
  expect([rgba.at(-4), rgba.at(-1)]).toEqual([128, 255])
  let turns = 0
  const count = setInterval(() => turns++, 0)
  await layOn(makeImage(rgba, side, side, undefined, 4), WHITE)
  clearInterval(count)
  expect(turns).toBeGreaterThan(0)
})

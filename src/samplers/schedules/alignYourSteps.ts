/**
 * Align Your Steps: Sabour, Fidler, Kreis 2024, "Align your steps: optimizing sampling schedules in diffusion models",
 * arXiv:2404.14507; noise ratios found for ten steps of one model each, with the digits of the authors' page.
 */

/** Stable Diffusion 1.5 and XL. The last number, the cleanest trained level, counts between steps only. */
const KNOTS = {
  ays: [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029],
  aysSdxl: [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0.029],
} as const satisfies Record<string, readonly number[]>

/** The model a schedule was found for. */
export type AlignedModel = keyof typeof KNOTS

/** Whether it is one. */
export function isAligned(name: string | undefined): name is AlignedModel {
  return name !== undefined && Object.hasOwn(KNOTS, name)
}

/** n noise ratios, clean data following; other counts than ten interpolate ln s linearly, as the authors advise. */
export function alignYourSteps(model: AlignedModel, n: number): number[] {
  const knots: readonly number[] = KNOTS[model]
  return Array.from({ length: n }, (_, i) => {
    const place = (i * (knots.length - 1)) / n
    const low = Math.floor(place)
    const [from = Number.NaN, to = Number.NaN] = [knots[low], knots[low + 1]]
    return place === low ? from : from * (to / from) ** (place - low)
  })
}

/** Text to image: runs start from noise alone. */

import type { Canvas } from './canvas'
import { initialLatent } from './latents'

/** Noise of the standard deviation that the schedule begins with. */
export const emptyCanvas: Canvas = {
  draws: ['initial'],
  begin: (noise, plan) => ({ start: initialLatent(noise, plan.initialScale) }),
}

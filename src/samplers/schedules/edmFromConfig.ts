/** Schedules of EDM models from diffusers settings. */

import { invalidOption } from '../../text/givenOptions'
import { edmPrediction } from '../prediction'
import { rejectSwitches, type SchedulerConfig } from './config'
import { edmSchedule } from './edm'
import { type BuiltSchedule, rejectOptions, type ScheduleRequest } from './request'

/** Longer runs are taken for mistakes. */
const MAX_STEPS = 10000

/** Builds the schedule of a variance-exploding model with preconditioning. */
export function edmScheduleFromConfig(config: SchedulerConfig, request: ScheduleRequest): BuiltSchedule {
  const { options, steps, scheduleName } = request
  if (steps > MAX_STEPS) throw invalidOption('steps', `at most ${MAX_STEPS}`, steps)
  rejectOptions(options, ['shift', 'mu', 'imageTokens', 'sigmas', 'distilledSteps'], 'an EDM model')
  rejectSwitches(config, ['thresholding'])
  if (scheduleName !== undefined && scheduleName !== 'karras' && scheduleName !== 'exponential') {
    throw invalidOption('schedule', 'karras or exponential (this is an EDM model)', scheduleName)
  }
  const sigmaMax = config.number('sigma_max', 80, 1e-6, 1e6)
  const curve = config.word('sigma_schedule', 'karras', ['karras', 'exponential'])
  const output = config.word('prediction_type', 'epsilon', ['epsilon', 'v_prediction'])
  return {
    schedule: edmSchedule(steps, {
      sigmaMax,
      sigmaMin: config.number('sigma_min', 0.002, 1e-6, 1e6),
      rho: config.number('rho', 7, 1, 100),
      curve: scheduleName ?? curve,
      end: config.word('final_sigmas_type', 'zero', ['zero', 'sigma_min']) === 'zero' ? 'clean' : 'repeat',
    }),
    prediction: edmPrediction({
      sigmaData: config.number('sigma_data', 0.5, 1e-6, 1e6),
      output: output === 'v_prediction' ? 'v' : 'epsilon',
    }),
    initialScale: Math.hypot(sigmaMax, 1),
  }
}

/**
 * Calls into the addon: its failures become EngineErrors, made where V8 still knows who awaits the call, so that stacks
 * show it; aborts become AbortErrors.
 */

import { abortError, EngineError, ERROR_CODES, type ErrorCode, throwIfAborted } from '../errors'
import { onAbort } from './abortFanOut'
import type { Addon, CancelHandle, NativeFailure } from './addon'
import { addon } from './load'

/** A call that answers at once. */
export function callNative<T>(call: (native: Addon) => T): T {
  const native = addon()
  try {
    return call(native)
  } catch (failure) {
    throw isNativeFailure(failure) ? engineError(failure) : failure
  }
}

/**
 * A call that ends on another thread. Its native arguments are read before this returns.
 *
 * Rejects with an EngineError, or with an AbortError once the signal has fired and the native side has let go of the
 * memory it was lent.
 */
export async function awaitNative<T>(
  start: (native: Addon, cancel: CancelHandle) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  throwIfAborted(signal)
  const native = addon()
  const cancel = signal ? native.makeCancel() : neverCancelled(native)
  const stopWaiting = signal && onAbort(signal, () => native.abort(cancel))
  try {
    return await start(native, cancel)
  } catch (failure) {
    if (!isNativeFailure(failure)) throw failure
    if (failure.code === 'aborted' && signal?.aborted) throw abortError(signal.reason)
    throw engineError(failure)
  } finally {
    stopWaiting?.()
  }
}

let never: CancelHandle | undefined

/** The flag of all calls without a signal. */
function neverCancelled(native: Addon): CancelHandle {
  never ??= native.makeCancel()
  return never
}

function isNativeFailure(failure: unknown): failure is NativeFailure {
  return typeof failure === 'object' && failure !== null && !(failure instanceof Error) && 'code' in failure
}

function engineError({ code, message }: NativeFailure): EngineError {
  return new EngineError(isErrorCode(code) ? code : 'internal', message)
}

function isErrorCode(code: string): code is ErrorCode {
  return (ERROR_CODES as readonly string[]).includes(code)
}

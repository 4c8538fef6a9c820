/** Whether files are still those whose headers were read, asked by many at once. */

import { changedError, fileStamp, type StampedFile } from './checkpoint'

interface Looks {
  /** Began earlier: no answer for who asks now. */
  current: Promise<string>
  /** Begins when the current one is done. */
  next?: Promise<string> | undefined
}

/** One look at a file at a time, and one more for all who ask meanwhile. */
export class StampChecks {
  readonly #looks = new Map<string, Looks>()

  /** Throws `io` when a file is no longer the one its stamp was taken of, `missing-file` when it is gone. */
  async assertUnchanged({ file, stamp }: StampedFile): Promise<void> {
    if (stamp !== undefined && (await this.#look(file)) !== stamp) throw changedError(file)
  }

  /** The stamp as it was at some moment after the call. */
  #look(file: string): Promise<string> {
    const looks = this.#looks.get(file)
    if (!looks) return this.#begin(file)
    looks.next ??= looks.current.then(
      () => this.#begin(file),
      () => this.#begin(file),
    )
    return looks.next
  }

  #begin(file: string): Promise<string> {
    const current = fileStamp(file).then(({ stamp }) => stamp)
    const looks: Looks = { current }
    this.#looks.set(file, looks)
    const done = () => {
      if (this.#looks.get(file) === looks && !looks.next) this.#looks.delete(file)
    }
    current.then(done, done)
    return current
  }
}

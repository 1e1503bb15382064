import type { TaskKit } from '@afterspan/core/internal'
import type { Channel, Method } from './shapes.ts'
import type { Topology } from './topology.ts'

/** What the steps of one patch share. */
export interface Patch {
  readonly kit: TaskKit
  readonly channel: Channel
  readonly isConfirming: (channel: Channel) => boolean
  readonly topology: Topology
}

/** Wraps one method of the channels; `this` comes as an argument. */
export function onCall(
  { kit, channel }: Pick<Patch, 'kit' | 'channel'>,
  method: Exclude<keyof Channel, 'ch' | 'connection' | 'emit'>,
  replace: (original: Method, self: Channel, args: unknown[]) => unknown,
): void {
  kit.wrap(
    channel,
    method,
    (original) =>
      function (this: Channel, ...args) {
        return replace(original, this, args)
      },
  )
}

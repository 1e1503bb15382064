import { channel, type Channel } from 'node:diagnostics_channel'
import type { ProcessEvent, RequestEvent, TaskEvent } from '../contracts/task.ts'

/** What happened to tasks. Subscribers run synchronously, in the publisher's turn: the journal is written before publish returns. */
export const taskChannel: Channel<unknown, TaskEvent> = channel('afterspan:task') as Channel<unknown, TaskEvent>
/** What happened to requests. 'answered' may be published some turns late, in groups. */
export const requestChannel: Channel<unknown, RequestEvent> = channel('afterspan:request') as Channel<
  unknown,
  RequestEvent
>
/** What happened to the process: 'exiting' and 'crashed'. */
export const processChannel: Channel<unknown, ProcessEvent> = channel('afterspan:process') as Channel<
  unknown,
  ProcessEvent
>

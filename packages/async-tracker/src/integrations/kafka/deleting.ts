// Topics that the app deletes, with all that they held, and records that it deletes from them, up to an offset.
import { types } from 'node:util'
import type { EmptiedQueue, TaskKit } from '@afterspan/core/internal'
import { isObject } from '../sending/bag.ts'
import { recordId } from './record-id.ts'

type Callback = (error: unknown, ...more: unknown[]) => unknown
type Delete = (options: unknown, callback?: unknown) => unknown

/** Of kafkajs an object, of @platformatic/kafka a class, whose methods take a callback too, and where it has deleteRecords() for deleteTopicRecords(). */
export interface Admin {
  deleteTopics: Delete
  deleteTopicRecords?: Delete
  deleteRecords?: Delete
}

export function patchDeleting(admin: Admin, kit: TaskKit): void {
  patchMethod(admin, 'deleteTopics', kit, (options) =>
    listOf(options, 'topics').map((topic) => ({ system: 'kafka', destination: String(topic) })),
  )
  patchMethod(admin, 'deleteTopicRecords', kit, (options) =>
    recordsOf(isObject(options) ? options['topic'] : '', options),
  )
  patchMethod(admin, 'deleteRecords', kit, (options) =>
    listOf(options, 'topics').flatMap((topic) => recordsOf(isObject(topic) ? topic['name'] : '', topic)),
  )
}

function patchMethod(
  admin: Admin,
  method: keyof Admin,
  kit: TaskKit,
  emptiedBy: (options: unknown) => readonly EmptiedQueue[],
): void {
  kit.wrap(
    admin as Required<Admin>,
    method,
    (original) =>
      function (this: Admin, options, ...rest) {
        const emptied = emptiedBy(options).map((queue) => kit.empty(queue))
        const tell = (): void => {
          for (const one of emptied) one()
        }
        const [callback] = rest
        if (typeof callback === 'function') {
          const told: Callback = (error, ...more) => {
            if (!error) tell()
            return (callback as Callback)(error, ...more)
          }
          return original.call(this, options, told)
        }
        const result = original.call(this, options, ...rest)
        if (!types.isPromise(result)) return result
        return result.then((value: unknown) => {
          tell()
          return value
        })
      },
  )
}

/** Of each partition what is before an offset; all of it where that is -1. */
function recordsOf(topic: unknown, partitions: unknown): EmptiedQueue[] {
  return listOf(partitions, 'partitions').flatMap((one) => {
    if (!isObject(one)) return []
    const below = Number(one['offset'])
    const prefix = recordId(String(topic), Number(one['partition']), '')
    return [{ system: 'kafka', ids: { prefix, ...(below >= 0 ? { below } : {}) } }]
  })
}

function listOf(options: unknown, name: string): readonly unknown[] {
  const list = isObject(options) ? options[name] : undefined
  return Array.isArray(list) ? list : []
}

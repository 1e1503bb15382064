// Topics that the app deletes, with all that they held.
import { types } from 'node:util'
import type { TaskKit } from '@afterspan/core/internal'
import { isObject } from '../sending/bag.ts'

type Callback = (error: unknown, ...more: unknown[]) => unknown

/** Of kafkajs an object, of @platformatic/kafka a class, whose method takes a callback too. */
export interface Admin {
  deleteTopics(options: unknown, callback?: unknown): unknown
}

export function patchDeleteTopics(admin: Admin, kit: TaskKit): void {
  kit.wrap(
    admin,
    'deleteTopics',
    (original) =>
      function (this: Admin, options, ...rest) {
        const topics = isObject(options) && Array.isArray(options['topics']) ? options['topics'] : []
        const deleted = topics.map((topic) => kit.empty({ system: 'kafka', destination: String(topic) }))
        const tell = (): void => {
          for (const one of deleted) one()
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

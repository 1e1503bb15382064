// What is used of @aws-sdk/client-sqs 3.
import { types } from 'node:util'
import { context } from '@opentelemetry/api'
import { isObject, type Fields } from '../sending/bag.ts'

export const SYSTEM = 'aws_sqs'

export interface Command {
  readonly input: Fields
}
export type CommandClass = new (input: Fields) => Command
export interface Client {
  /** (command), (command, options), each with or without a callback at the end. */
  send(command: Command, ...rest: unknown[]): unknown
}
export interface Exports {
  readonly SQSClient: { readonly prototype: Client }
  readonly SendMessageCommand: CommandClass
  readonly SendMessageBatchCommand: CommandClass
  readonly ReceiveMessageCommand: CommandClass
  readonly DeleteMessageCommand: CommandClass
  readonly DeleteMessageBatchCommand: CommandClass
  readonly ChangeMessageVisibilityCommand: CommandClass
  readonly ChangeMessageVisibilityBatchCommand: CommandClass
  readonly GetQueueAttributesCommand: CommandClass
  readonly PurgeQueueCommand?: CommandClass
  readonly DeleteQueueCommand?: CommandClass
}

/** What is done about a command of one kind. */
export type Step = (client: Client, command: Command, rest: unknown[], original: Client['send']) => unknown
export type StepOf = readonly [CommandClass, Step]

/** The name at the end of a queue's address. */
export function queueOf({ QueueUrl: url }: Fields): string {
  return typeof url === 'string' ? url.slice(url.lastIndexOf('/') + 1) : ''
}

/** A list of objects, whatever it is. */
export function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** The command with another input; what the app gave stays as it is. */
export function withInput(command: Command, input: Fields): Command {
  return Object.create(command, {
    input: { value: input, enumerable: true, writable: true, configurable: true },
  }) as Command
}

/**
 * Sends it and looks at what comes, before the app does. `onOutput` may change what the app gets; what is given back is the promise that
 * was looked at, so that a rejection stays one that nobody handled.
 */
export function sendAndLook(
  call: {
    readonly client: Client
    readonly command: Command
    readonly rest: unknown[]
    readonly original: Client['send']
  },
  onOutput: (output: Fields) => void,
  onError: (error: unknown) => void = () => {},
): unknown {
  const { client, command, rest, original } = call
  const quietly = (tell: () => void): void => {
    try {
      tell()
    } catch {
      // nothing of ours reaches the app
    }
  }
  const see = (output: unknown): void => {
    if (isObject(output)) quietly(() => onOutput(output))
  }
  const at = rest.findIndex((one) => typeof one === 'function')
  if (at === 0 || at === 1) {
    const callback = context.bind(context.active(), rest[at] as (error: unknown, output: unknown) => unknown)
    const seen = (error: unknown, output: unknown): unknown => {
      if (error) quietly(() => onError(error))
      else see(output)
      return callback(error, output)
    }
    return original.call(client, command, ...rest.with(at, seen))
  }
  const sent = original.call(client, command, ...rest)
  if (!types.isPromise(sent)) return sent
  return sent.then(
    (output) => {
      see(output)
      return output
    },
    (error: unknown) => {
      quietly(() => onError(error))
      throw error
    },
  )
}

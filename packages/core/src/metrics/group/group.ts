// The processes and worker threads of one service on one host answer a scrape as one, whichever of them is asked.
import { statSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { MetricFamily } from '../../contracts/service.ts'
import { single, type Collected } from '../collector.ts'
import { joinFamilies, totalsOf, type Member, type Totals } from './join.ts'
import {
  forget,
  forgetSocket,
  holdPort,
  list,
  membersOf,
  portHolder,
  recall,
  recallGone,
  remember,
  idleFolders,
  removeFolder,
} from './memory.ts'
import { openPlace, socketPath, type Place } from './place.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot } from './snapshot.ts'

/** Longer than a member's side thread waits for its main thread. */
const MEMBER_ANSWERS_WITHIN_MS = 1_500
const MOST_BYTES = 64 * 1024 * 1024
/** At each start: more die than are left, in the long run. */
const MOST_SWEPT = 16

type Heard = Snapshot | 'gone' | 'silent'

export interface GroupSettings {
  /** Undefined: this member alone. */
  readonly place: Place | undefined
  /** This member's own families. */
  readonly collect: () => Promise<Collected>
  /** Another thread of this process is the member and has more to tell; this one only asks. */
  readonly onlyAsks?: boolean
}

/** Never throws. A group that cannot be had is this member alone. */
export class Group {
  readonly #settings: GroupSettings
  #server: Server | undefined
  #isOpen: boolean | undefined
  /** From then on gauges carry their pid: their labels must not come and go with the second process. */
  #wasMany = false

  constructor(settings: GroupSettings) {
    this.#settings = settings
  }

  /** Listens for the others. */
  async join(): Promise<void> {
    const place = this.#open()
    if (!place) return
    const before = list(place.dir)
    forgetSocket(place.dir, place.id) // of a thread that this one replaces
    await this.#listen(place)
    const others = await this.#ask(place, true)
    if (others.every(({ heard }) => heard === 'gone')) forget(place, before)
    await sweep(place)
  }

  stop(): void {
    this.#server?.close()
    this.#server = undefined
  }

  /** This member's admin listener has the port. */
  holdPort(): void {
    const place = this.#open()
    if (place) holdPort(place)
  }

  /** A busy port is in the family: another member answers there for all. */
  async isPortHeld(): Promise<boolean> {
    const place = this.#open()
    const id = place && portHolder(place.dir)
    return Boolean(id) && (await hear(socketPath({ dir: place!.dir, id: id! }), true)) !== 'gone'
  }

  /** The families of all members. */
  readonly gather: () => Promise<Collected> = single(() => this.#gather())

  async #gather(): Promise<Collected> {
    const { collect, onlyAsks } = this.#settings
    const place = this.#open()
    if (!place) return collect()
    const [collected, heardOf] = await Promise.all([onlyAsks ? undefined : collect(), this.#ask(place)])
    const asked = heardOf.find(({ id }) => id === place.id)?.heard
    const own = collected ?? (typeof asked === 'object' ? { ...asked, staleMs: 0 } : await collect())
    const members: Member[] = [{ pid: place.pid, threadId: place.threadId, families: own.families }]
    const totals: Totals[] = []
    const living = new Set([place.id])
    for (const { id, heard } of heardOf) {
      if (id === place.id) continue
      if (heard === 'gone') {
        forgetSocket(place.dir, id)
        continue
      }
      living.add(id)
      if (typeof heard === 'object' && heard.isComplete) {
        members.push({ ...whoIs(id), families: heard.families })
        remember(place, id, totalsOf(heard.families))
      } else totals.push(recall(place.dir, id) ?? [])
    }
    totals.push(...recallGone(place, living))
    if (living.size > 1 || totals.length > 0) this.#wasMany = true
    if (!this.#wasMany) return own
    if (own.isComplete) remember(place, place.id, totalsOf(own.families))
    return { ...own, families: [...joinFamilies(members, totals), membersFamily(members.length, living.size)] }
  }

  #open(): Place | undefined {
    const { place } = this.#settings
    this.#isOpen ??= place !== undefined && openPlace(place)
    return this.#isOpen ? place : undefined
  }

  #listen(place: Place): Promise<void> {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.unref()
      // Who only wants to know whether this member lives says nothing: nothing is collected for it, once a second while it waits for the port.
      socket.once('data', () => void this.#tell(socket))
    })
    server.maxConnections = 64
    server.unref()
    this.#server = server
    return new Promise<void>((resolve) => {
      server.once('error', () => {
        resolve()
      })
      server.listen(socketPath(place), () => {
        resolve()
      })
    })
  }

  async #tell(socket: Socket): Promise<void> {
    try {
      const { families, isComplete } = await this.#settings.collect()
      socket.end(encodeSnapshot(isComplete, families))
    } catch {
      socket.destroy()
    }
  }

  /** All members; not this one itself, unless it only asks. */
  #ask({ dir, id: own }: Place, onlyWhether = false): Promise<{ id: string; heard: Heard }[]> {
    const ids = membersOf(dir).filter((id) => this.#settings.onlyAsks || id !== own)
    return Promise.all(ids.map(async (id) => ({ id, heard: await hear(socketPath({ dir, id }), onlyWhether) })))
  }
}

/** What processes have left that were killed, as the only ones of their group. */
async function sweep(place: Place): Promise<void> {
  for (const dir of idleFolders(place, MOST_SWEPT, Date.now())) {
    const names = list(dir)
    const heard = await Promise.all(membersOf(dir).map((id) => hear(socketPath({ dir, id }), true)))
    if (heard.every((answer) => answer === 'gone')) removeFolder(dir, names)
  }
}

function whoIs(id: string): { readonly pid: number; readonly threadId: number } {
  const [pid = '0', threadId = '0'] = id.split('-')
  return { pid: Number(pid), threadId: Number(threadId) }
}

function membersFamily(answered: number, living: number): MetricFamily {
  return {
    name: 'afterspan_metrics_members',
    type: 'gauge',
    across: 'one',
    help: 'Processes and worker threads of this service on this host that are in this answer, and those that did not answer: of those the counters that were last seen are.',
    samples: [
      { labels: { state: 'answered' }, value: answered },
      { labels: { state: 'silent' }, value: living - answered },
    ],
  }
}

/** A socket that refuses has no process behind it any more, unless it was made a moment ago. `onlyWhether`: who takes the connection lives. */
function hear(path: string, onlyWhether: boolean): Promise<Heard> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const socket = connect(path)
    socket.unref()
    const done = (heard: Heard): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(heard)
    }
    const timer = setTimeout(() => {
      done('silent')
    }, MEMBER_ANSWERS_WITHIN_MS)
    timer.unref()
    socket.on('connect', () => {
      if (onlyWhether) done('silent')
      else socket.write('?')
    })
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > MOST_BYTES) done('silent')
      else chunks.push(chunk)
    })
    socket.on('end', () => {
      done(decodeSnapshot(Buffer.concat(chunks)) ?? 'silent')
    })
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      done(code === 'ENOENT' || (code === 'ECONNREFUSED' && !isNew(path)) ? 'gone' : 'silent')
    })
  })
}

function isNew(path: string): boolean {
  return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < 1_000
}

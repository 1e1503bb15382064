import type { TaskKit } from '@afterspan/core/internal'
import { createBag } from '../sending/bag.ts'
import { giveCarrier } from './carrier.ts'
import type { Job, JobClass } from './shapes.ts'

export function patchSaving({ prototype }: JobClass, kit: TaskKit): void {
  kit.wrap(
    prototype,
    '_save',
    (original) =>
      function (this: Job, ...args) {
        const { name } = this.queue
        const bag = createBag()
        const save = (): Promise<Job> => {
          giveCarrier(this, bag)
          return original.apply(this, args)
        }
        // A job whose id is there already gets none.
        return kit.enqueue({ system: 'bee-queue', destination: name, name }, bag, save, ({ id }) => id)
      },
  )
}

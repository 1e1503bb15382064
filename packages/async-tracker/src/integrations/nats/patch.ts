import type { TaskKit } from '@afterspan/core/internal'
import { deliveryOf, patchConsumers } from './consuming.ts'
import { patchPublish } from './publishing.ts'
import { patchAnswers } from './settling.ts'
import type { Exports } from './shapes.ts'
import { patchStreams } from './streams.ts'
import { patchSubscriptions } from './subscribing.ts'

/** What both packages have in common: the same classes, in files of their own. */
export function patchJetStream(exports: Exports, kit: TaskKit): void {
  patchPublish(exports, kit)
  patchStreams(exports, kit)
  patchConsumers(exports, kit)
  patchSubscriptions(exports, kit)
  patchAnswers(exports, kit, deliveryOf)
}

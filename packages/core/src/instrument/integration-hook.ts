import type { Integration, TaskKit } from '../contracts/integration.ts'
import type { ModuleHook } from '../contracts/module-hook.ts'
import { ownedScopes } from '../sdk/owned-scopes.ts'

/** An integration as a module hook. */
export function integrationHook(
  { name, module, files, versions, replacesScopes = [], patch }: Integration,
  kit: TaskKit,
): ModuleHook {
  for (const scope of replacesScopes) ownedScopes.add(scope)
  return {
    name,
    module,
    versions,
    ...(files ? { files } : {}),
    patch(exports) {
      patch(exports, kit)
    },
  }
}

import type { Integration, TaskKit } from '../contracts/integration.ts'
import type { ModuleHook } from '../contracts/module-hook.ts'
import { followedSystems, ownedScopes } from '../sdk/owned-scopes.ts'

/** An integration as a module hook. One that is muted stands in for nobody. */
export function integrationHook(
  { name, module, files, hasModules, versions, replacesScopes = [], systems = [], patch }: Integration,
  kit: TaskKit,
  isMuted = false,
): ModuleHook {
  if (!isMuted) for (const scope of replacesScopes) ownedScopes.add(scope)
  return {
    name,
    module,
    versions,
    ...(files ? { files } : {}),
    ...(hasModules ? { hasModules } : {}),
    patch(exports) {
      patch(exports, kit)
      for (const system of systems) followedSystems.add(system)
    },
  }
}

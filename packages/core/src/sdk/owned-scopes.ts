/** Instrumentation scopes whose own PRODUCER and CONSUMER spans an integration stands in for. The provider gives them a tracer that passes through. */
export const ownedScopes = new Set<string>()
/** `messaging.system`s that an integration follows in this process: spans that others make of them would count them twice. */
export const followedSystems = new Set<string>()

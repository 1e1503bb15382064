/** Instrumentation scopes whose own PRODUCER and CONSUMER spans an integration stands in for. The provider gives them a tracer that passes through. */
export const ownedScopes = new Set<string>()

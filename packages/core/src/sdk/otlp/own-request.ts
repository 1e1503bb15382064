/** Requests of our own, and connections that are for nothing else; the client instrumentation leaves them alone. */
export const OWN_REQUEST: unique symbol = Symbol.for('afterspan.own-request') as never

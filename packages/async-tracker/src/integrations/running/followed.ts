/** Integrations share nothing but this and what is caught (caught.ts): what one follows already, another that would see it too leaves alone. */
const FOLLOWED = Symbol.for('afterspan.followed')

export function markFollowed<F extends object>(run: F): F {
  return Object.defineProperty(run, FOLLOWED, { value: true })
}
export function isFollowed(run: object): boolean {
  return FOLLOWED in run
}

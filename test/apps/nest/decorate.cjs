// Without a compiler for decorators: they are functions.
require('reflect-metadata')

exports.method = (owner, name, ...decorators) => {
  const descriptor = Object.getOwnPropertyDescriptor(owner.prototype, name)
  for (const decorate of decorators) decorate(owner.prototype, name, descriptor)
}
exports.parameter = (owner, name, at, decorate) => {
  decorate(owner.prototype, name, at)
}
/** Of a constructor, whose parameters Nest fills. */
exports.injected = (owner, ...tokens) => {
  Reflect.defineMetadata('design:paramtypes', tokens, owner)
}

import { propagation, type TextMapPropagator, type TextMapSetter } from '@opentelemetry/api'
import { isLegalHeader } from '../http/legal-header.ts'

/**
 * Baggage is the app's, and that of its callers: the metadata of an entry goes into the header as it is, and a header of Jaeger's has its
 * key for a name. What is no header stays out, before a client throws for it, or writes it.
 */
export function withLegalBaggage(propagator: TextMapPropagator): TextMapPropagator {
  return {
    inject(context, carrier, setter) {
      propagator.inject(context, carrier, propagation.getBaggage(context) ? legal(setter) : setter)
    },
    extract: (context, carrier, getter) => propagator.extract(context, carrier, getter),
    fields: () => propagator.fields(),
  }
}

function legal<C>(setter: TextMapSetter<C>): TextMapSetter<C> {
  return {
    set(carrier, name, value) {
      if (isLegalHeader(name, value)) setter.set(carrier, name, value)
    },
  }
}

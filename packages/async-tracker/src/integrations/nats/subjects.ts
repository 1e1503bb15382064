/** What NATS and its layers keep for themselves: the API, key-value buckets, object stores. */
const RESERVED = /^(?:\$|_INBOX\.)/

export function isReserved(subject: string): boolean {
  return RESERVED.test(subject)
}

/** 'orders.8731.created' → 'orders.*.created': subjects with numbers in them are many, and a destination is one of few. Pure. */
export function destinationOf(subject: string): string {
  return /\d/.test(subject) || subject.length > LONGEST ? subject.split('.').map(wildcardFor).join('.') : subject
}

const LONGEST = 40

function wildcardFor(token: string): string {
  const digits = token.replaceAll(/\D/g, '').length
  const isValue =
    token.length > LONGEST ||
    digits >= 4 ||
    (digits > 0 && (/^[\d_-]+$/.test(token) || (token.length >= 8 && /^[\da-f-]+$/i.test(token))))
  return isValue ? '*' : token
}

export const FULFIL = 'fulfil'

/** Redelivery within seconds, so that it can be watched. */
export const queueOptions = { retryLimit: 2, retryDelay: 1, expireInSeconds: 5 }

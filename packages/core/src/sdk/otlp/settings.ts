/** Where and how OTLP goes. Plain data: it crosses threads. */
export interface OtlpSettings {
  /** The full address of the endpoint, '/v1/traces' or alike included; of gRPC, scheme, host and port. */
  readonly url: string
  /** Undefined: traces. */
  readonly signal?: 'logs' | 'metrics'
  readonly headers: Readonly<Record<string, string>>
  /** Undefined: http/protobuf. */
  readonly protocol?: 'grpc' | 'http/json'
  /** Of one attempt. */
  readonly timeoutMs: number
  readonly compression: 'none' | 'gzip'
  /** For https. */
  readonly tls?: TlsSettings
}

/** PEM texts as they were at the start, and the files that have them, or will. */
export interface TlsSettings extends TlsTexts {
  readonly files?: TlsTexts
}
export interface TlsTexts {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** The address as it may be shown: without a user and a password, and without a query, where keys are given too. */
export function shownUrl({ url }: Pick<OtlpSettings, 'url'>): string {
  return url.replace(/\/\/[^/?#]*@/, '//').replace(/\?.*$/, '?…')
}

/** Signals that go to one place share its connections, unless they show other certificates there. */
export function connectionKey(place: string, tls: TlsSettings | undefined): string {
  return tls ? JSON.stringify([place, tls]) : place
}

/** Where and how OTLP/HTTP goes. Plain data: it crosses threads. */
export interface OtlpSettings {
  /** The full address of the traces endpoint, '/v1/traces' included. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Of one attempt. */
  readonly timeoutMs: number
  readonly compression: 'none' | 'gzip'
  /** PEM texts, for https. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

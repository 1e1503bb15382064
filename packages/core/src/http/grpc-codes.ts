/** The names of gRPC's status codes, by number. */
const GRPC_CODES: readonly string[] =
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED'.split(
    ' ',
  )

/** A number that gRPC does not know is its own name. */
export function grpcCode(code: number): string {
  return GRPC_CODES[code] ?? String(code)
}

import { join } from 'node:path'

/** Where this installation's preload is. */
export function registerPath(): string {
  return join(__dirname, '..', 'register.js')
}

import type { CoreConfig } from '../config/config.ts'
import type { AdminSettings } from './server.ts'

export function adminSettings(config: CoreConfig): AdminSettings {
  return {
    host: config.adminHost,
    port: config.adminPort,
    token: config.adminToken,
    hosts: config.allowedHosts,
    addressFile: config.adminAddressFile,
    metrics: config.metrics,
  }
}

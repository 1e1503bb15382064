import { describe, expect, test } from 'vitest'
import { createAccess } from '../../src/admin/access.ts'

const access = (host: string, hosts: readonly string[] = []) => createAccess({ host, token: '', hosts })

describe('a Host header', () => {
  test.each([
    ['fd00::1', '[fd00::1]:9464'],
    ['FD00:0:0:0:0:0:0:1', '[fd00::1]'],
    ['::1', '[::1]:9464'],
    ['10.0.0.7', '10.0.0.7:9464'],
    ['Shop.Internal', 'shop.internal'],
    ['127.0.0.1', 'localhost:9464'],
    ['0.0.0.0', '192.168.1.7:9464'],
    ['::', '[fd00::7]:9464'],
    ['0.0.0.0', 'shop:9464'],
    ['0.0.0.0', 'shop.default.svc:9464'],
    ['::', 'shop.default.svc.cluster.local'],
    ['0.0.0.0', 'ip-10-0-0-7.ec2.internal:9464'],
  ])('of a listener at %s is one of its own: %s', (host, header) => {
    expect(access(host).isHostAllowed(header)).toBe(true)
  })
  test.each([
    ['fd00::1', '[fd00::2]:9464'],
    ['fd00::1', 'evil.example'],
    ['127.0.0.1', '10.0.0.7:9464'],
    ['0.0.0.0', 'evil.example'],
    ['0.0.0.0', '1.2.3.4.evil.example'],
    ['0.0.0.0', 'local.evil.example'],
    ['0.0.0.0', 'evil.example.'],
    ['192.168.1.7', 'shop:9464'],
    ['::', ''],
  ])('of a listener at %s is not %s', (host, header) => {
    expect(access(host).isHostAllowed(header)).toBe(false)
  })
  test('may be one of those that are named', () => {
    expect(access('127.0.0.1', ['Metrics.Shop', 'fd00::5']).isHostAllowed('metrics.shop:80')).toBe(true)
    expect(access('127.0.0.1', ['Metrics.Shop', '[fd00::5]']).isHostAllowed('[fd00::5]')).toBe(true)
  })
})

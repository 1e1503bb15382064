import type { Command } from '../command.ts'
import { registerPath } from '../register-path.ts'

export const path: Command = {
  name: 'path',
  summary: 'prints the absolute path of the preload, for NODE_OPTIONS',
  usage: '',
  details:
    'NODE_OPTIONS="--require $(npx afterspan path)"\n\nA bare name in NODE_OPTIONS would end every Node process that is started in another folder.',
  options: {},
  run({ print }) {
    print(registerPath())
    return Promise.resolve(0)
  },
}

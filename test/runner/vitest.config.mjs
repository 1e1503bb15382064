// For test/runner.test.ts only: tests that are meant to fail, and that no other run sees.
export default { test: { dir: 'test/runner', include: ['*.planted.ts'] } }

// A reporter for vitest beside its own: counts what ran, and keeps why a test was skipped, into the file AFTERSPAN_TEST_SUMMARY.
// scripts/test.mjs prints it; a file, since vitest may die before it has printed anything.
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'

/** vitest makes one of its own, and wants it as the default export. */
export default class TestSummary {
  onTestRunEnd(modules, unhandledErrors) {
    writeFileSync(process.env['AFTERSPAN_TEST_SUMMARY'], JSON.stringify(summaryOf(modules, unhandledErrors)))
  }
}

/**
 * vitest calls a test skipped when a hook before it threw: here it has failed. A file or suite that threw otherwise (at import, after its tests)
 * is one failure, and so is an error that nobody caught.
 */
export function summaryOf(modules, unhandledErrors) {
  const summary = { passed: 0, failed: unhandledErrors.length, skipped: [], flaky: [] }
  for (const module of modules) {
    const told = new Set()
    for (const test of module.children.allTests()) count(summary, module, test, told)
    for (const part of [module, ...module.children.allSuites()])
      if (part.errors().length > 0 && !told.has(part)) summary.failed++
  }
  return summary
}

function count(summary, module, test, told) {
  const { note, state } = test.result()
  const broken = brokenAbove(test)
  const name = `${relative(process.cwd(), module.moduleId)} > ${test.fullName}`
  if (state === 'passed') {
    summary.passed++
    if (test.diagnostic()?.flaky) summary.flaky.push({ name, reason: test.result().errors?.[0]?.message })
  } else if (state === 'skipped' && !(broken && isMeant(test)))
    summary.skipped.push({
      name,
      reason: note ?? (test.options.mode === 'todo' ? 'to be written' : undefined),
    })
  else {
    // failed; or cut off by a hook; or still pending, since its worker died before it ran
    summary.failed++
    if (broken && state === 'skipped') told.add(broken)
  }
}

/** Whether the test was there to be run, so that its skipping is an accident. */
function isMeant(test) {
  return test.result().note === undefined && test.options.mode !== 'skip' && test.options.mode !== 'todo'
}

function brokenAbove(test) {
  let part = test.parent
  while (part.type === 'suite' && part.errors().length === 0) part = part.parent
  return part.errors().length > 0 ? part : undefined
}

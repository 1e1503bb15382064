/* oxlint-disable -- planted for test/runner.test.ts */
import './not-there.ts'

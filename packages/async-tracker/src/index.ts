// The public names of @afterspan/async-tracker.
export { tasks } from './tasks.ts'

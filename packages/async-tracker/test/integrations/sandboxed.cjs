module.exports = async (job) => {
  if (job.name === 'bad') throw new Error('no')
  // Bull's; in BullMQ it is what was told last.
  if (typeof job.progress === 'function') await job.progress(50)
  return { was: job.data.answer }
}

module.exports = async (job) => {
  if (job.name === 'bad') throw new Error('no')
  return { was: job.data.answer }
}

// Twelve frames of the app's own would not fit into a stack: none of them may be ours.
require('./throws-below.cjs')

// A script that computes, and never comes to its event loop.
require('node:fs').writeSync(1, 'computes\n')
for (;;);

// A build as React Router's compiler makes it, served by node:http: pages, an action, a resource route, and a page that cannot be made.
const { createServer } = require('node:http')

module.exports = ({ createRequestHandler }) => {
  const boom = async (what) => {
    throw new TypeError(what)
  }
  const modules = {
    item: {
      default: () => null,
      loader: async ({ params }) => {
        if (params.id === 'throws') await boom('loader')
        if (params.id === 'gone') throw new Response('gone', { status: 410 })
        return { id: params.id }
      },
      action: () => boom('action'),
    },
    page: { default: () => null },
    api: { loader: ({ params }) => (params.kind === 'throws' ? boom('resource') : Response.json(params)) },
  }
  const paths = { item: 'items/:id', page: 'page', api: 'api/:kind' }
  const entries = Object.entries(modules).map(([id, module]) => [id, { id, path: paths[id], module }])
  const manifest = entries.map(([id, { path, module }]) => [
    id,
    { id, path, hasLoader: 'loader' in module, hasAction: 'action' in module, module: '/route.js', imports: [] },
  ])
  const build = {
    ssr: true,
    isSpaMode: false,
    basename: '/shop',
    publicPath: '/',
    prerender: [],
    future: {},
    routeDiscovery: { mode: 'initial' },
    assets: {
      version: '1',
      url: '/manifest.js',
      entry: { module: '/entry.js', imports: [] },
      routes: Object.fromEntries(manifest),
    },
    routes: Object.fromEntries(entries),
    entry: {
      module: {
        default: (request, status, headers) => {
          if (request.url.endsWith('/page')) throw new TypeError('page')
          return new Response('page', { status, headers })
        },
        handleError: (error) => console.log(`told ${error.message}`),
        instrumentations: [
          { route: (route) => route.instrument({ loader: (call) => call().then(() => console.log('own')) }) },
        ],
      },
    },
  }
  const answer = createRequestHandler(process.env.AS_FUNCTION ? () => build : build, 'production')
  const serve = async (req, res) => {
    const response = await answer(new Request(`http://localhost${req.url}`, { method: req.method }))
    res.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text())
  }
  const server = createServer((req, res) => void serve(req, res))
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

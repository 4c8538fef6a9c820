/**
 * A picture per request: one pipeline for all, work cancelled when the client goes away.
 * Run: node examples/http-server.mjs, then open http://localhost:8080/?prompt=pizza&seed=7
 */
import { createServer } from 'node:http'
import { loadPipeline } from 'irodori'

const pipe = await loadPipeline('emoji')

createServer(async (request, response) => {
  const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
  const controller = new AbortController()
  response.once('close', () => controller.abort())
  try {
    const seed = searchParams.has('seed') ? Number(searchParams.get('seed')) : undefined
    const prompt = searchParams.get('prompt') ?? ''
    const { images } = await pipe.generate({ prompt, seed, signal: controller.signal })
    response.setHeader('content-type', 'image/webp').end(await images[0].encode('webp'))
  } catch (error) {
    if (error.code === 'ABORT_ERR') return
    response.statusCode = /option|sampler/.test(error.code) ? 400 : 500
    response
      .setHeader('content-type', 'application/json')
      .end(JSON.stringify({ code: error.code, message: error.message }))
  }
}).listen(8080, () => console.log('http://localhost:8080/?prompt=pizza'))

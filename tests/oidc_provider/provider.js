// A certified OpenID provider for the tests: signs access tokens for its clients, turns its keys over when told to.
//
// Reads commands from standard input, one a line, and answers each with a line that begins with "> ", for the provider
// has things to say too: "rotate" (new keys beside the former ones), "forget" (only the newest keys), "leave" (no
// request is answered any more), "return", "asked" (how often for its keys). Says "> ready <issuer>" first.
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

const SECRET = 'a-secret-of-the-tests'
// Which audience and which signature the tokens for a resource have.
const RESOURCES = {
  'urn:meter': { audience: 'meter', alg: 'RS256' },
  'urn:meter:es256': { audience: 'meter', alg: 'ES256' },
  'urn:elsewhere': { audience: 'elsewhere', alg: 'RS256' }
}
const ROLES = { root: ['system_admin', 'offline_access'], ann: ['offline_access'] }

function newKeys () {
  return [['RS256', 'rsa', { modulusLength: 2048 }], ['ES256', 'ec', { namedCurve: 'P-256' }]].map(
    ([alg, type, options]) => ({
      ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
      kid: randomUUID(),
      use: 'sig',
      alg
    })
  )
}

function providerWith (issuer, keys) {
  return new Provider(issuer, {
    jwks: { keys },
    clients: Object.keys(ROLES).map((id) => ({
      client_id: id,
      client_secret: SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: []
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: '',
          audience: RESOURCES[resource].audience,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: RESOURCES[resource].alg } }
        })
      }
    },
    // As Keycloak has them.
    extraTokenClaims: (_context, token) => ({ realm_access: { roles: ROLES[token.clientId] } })
  })
}

let keys = newKeys()
let answer
let asked = 0
const server = createServer((request, response) => {
  if (request.url.endsWith('/jwks')) asked += 1
  answer(request, response)
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address()
  const issuer = `http://127.0.0.1:${port}`
  const begin = () => { answer = providerWith(issuer, keys).callback() }
  const commands = {
    rotate: (done) => { keys = [...newKeys(), ...keys]; begin(); done('rotated') },
    forget: (done) => { keys = keys.slice(0, 2); begin(); done('forgotten') },
    // The port stays ours: another program could take it meanwhile.
    leave: (done) => { answer = (request) => request.socket.destroy(); done('left') },
    return: (done) => { begin(); done('returned') },
    asked: (done) => done(`asked ${asked}`)
  }
  begin()
  const say = (line) => console.log(`> ${line}`)
  say(`ready ${issuer}`)
  createInterface({ input: process.stdin })
    .on('line', (line) => commands[line](say))
    .on('close', () => process.exit())
})

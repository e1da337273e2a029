// Started by `npm run bench -- --all`. JavaScript: tsc could not check it, as its packages are not in our install.
// node-oidc-provider with what the client credentials grant needs: JWT access tokens, signed RS256, kept in memory.
import Provider from 'oidc-provider'

const { port, privateJwk, clientId, clientSecret, scope, resource } = JSON.parse(process.argv[2])
const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: [privateJwk] },
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  scopes: [scope],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      getResourceServerInfo: () => ({
        scope,
        audience: resource,
        accessTokenTTL: 600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
})
provider.listen(port, '127.0.0.1')

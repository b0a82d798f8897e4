// A certified OpenID provider with one client and the people that PEOPLE names, on a free port of this machine.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const { CALLBACKS, CLIENT, PEOPLE } = process.env;
const people = JSON.parse(PEOPLE);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: CLIENT, redirect_uris: CALLBACKS.split(" "), token_endpoint_auth_method: "none", application_type: "native",
    }],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "signing", use: "sig", alg: "RS256" }] },
    cookies: { keys: ["only-for-tests"] },
    claims: { openid: ["sub"], profile: ["preferred_username", "name", "groups"] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: true } },
    findAccount: (_, sub) => people[sub] && { accountId: sub, claims: () => ({ sub, ...people[sub] }) },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
process.stdin.on("end", () => process.exit()).resume(); // ends with the tests that started it

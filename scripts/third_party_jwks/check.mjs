// jose reads an access token with the gateway's published keys. Arguments: base URL, issuer, audience, agent's id.
import { createRemoteJWKSet, jwtVerify } from "jose";
import { readFileSync } from "node:fs";

const [baseUrl, issuer, audience, agentId] = process.argv.slice(2);
const token = readFileSync(0, "utf8").trim();
const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", baseUrl));
const read = (text, more = {}) => jwtVerify(text, keys, { algorithms: ["EdDSA"], issuer, audience, ...more });

const { payload } = await read(token);
if (payload.sub !== agentId || payload.exp - payload.iat !== 900) throw new Error(JSON.stringify(payload));
const [head, body, signature] = token.split(".");
const flipped = (signature[0] === "A" ? "B" : "A") + signature.slice(1);
const wrong = [
  [`${head}.${body}.${flipped}`, {}],
  [`${head}.${body}.`, {}],
  [token, { audience: "elsewhere.example" }],
  [token, { issuer: "https://elsewhere.example" }],
];
for (const [text, more] of wrong) {
  const taken = await read(text, more).then(() => true, () => false);
  if (taken) throw new Error(`jose took what it must not: ${JSON.stringify(more)}`);
}
console.log("jose: the token verifies, four wrong ones do not");

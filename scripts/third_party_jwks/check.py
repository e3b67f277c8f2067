"""PyJWT reads an access token with the gateway's published keys. Arguments: base URL, issuer, audience, agent's id."""

import sys

import jwt

base_url, issuer, audience, agent_id = sys.argv[1:]
token = sys.stdin.read().strip()
key = jwt.PyJWKClient(f"{base_url}/.well-known/jwks.json").get_signing_key_from_jwt(token)


def read(text, **more):
    return jwt.decode(text, key, **({"algorithms": ["EdDSA"], "issuer": issuer, "audience": audience} | more))


claims = read(token, options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]})
assert claims["sub"] == agent_id, claims
assert claims["exp"] - claims["iat"] == 900, claims
head, body, signature = token.split(".")
flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
for wrong, more in (
    (f"{head}.{body}.{flipped}", {}),
    (f"{head}.{body}.", {}),
    (token, {"audience": "elsewhere.example"}),
    (token, {"issuer": "https://elsewhere.example"}),
):
    try:
        read(wrong, **more)
    except jwt.InvalidTokenError:
        continue
    sys.exit(f"PyJWT took what it must not: {more}")
print(f"PyJWT {jwt.__version__}: the token verifies, four wrong ones do not")

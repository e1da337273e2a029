# Authlib: apt install python3-authlib python3-requests, or pip install authlib requests
import os, sys, time, requests
from authlib.jose import JsonWebKey, JsonWebToken

ISSUER, AUDIENCE = os.environ["ISSUER"], os.environ["AUDIENCE"]
if not ISSUER or not AUDIENCE: sys.exit("set ISSUER and AUDIENCE")  # Authlib takes an empty one for: do not check
CLAIMS = {name: {"essential": True} for name in ("sub", "client_id", "iat", "exp", "jti")}
CLAIMS |= {"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": AUDIENCE}}
rs256 = JsonWebToken(["RS256"])
keys, fetched = {}, float("-inf")

def key_of(header, _):
    global keys, fetched
    if header.get("typ", "").lower() != "at+jwt": raise ValueError("not an access token")
    age = time.monotonic() - fetched
    if age > 300 or (age > 10 and header["kid"] not in keys):
        reply = requests.get(ISSUER + "/.well-known/jwks.json", timeout=5, allow_redirects=False)
        reply.raise_for_status()
        keys, fetched = {key["kid"]: JsonWebKey.import_key(key) for key in reply.json()["keys"]}, time.monotonic()
    return keys[header["kid"]]

def verify(token):
    claims = rs256.decode(token, key_of, claims_options=CLAIMS)
    claims.validate(leeway=5)
    if claims["exp"] - claims["iat"] > 900: raise ValueError("not an access token")
    return claims

for line in sys.stdin:  # a token a line
    try: print("accepted", verify(line.strip())["sub"], flush=True)
    except Exception as error: print("refused", repr(error), flush=True)

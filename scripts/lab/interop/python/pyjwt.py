# PyJWT: apt install python3-jwt python3-cryptography, or pip install "pyjwt[crypto]"
import os, sys, jwt

ISSUER, AUDIENCE = os.environ["ISSUER"], os.environ["AUDIENCE"]
REQUIRED = ["iss", "aud", "sub", "client_id", "iat", "exp", "jti"]
keys = jwt.PyJWKClient(ISSUER + "/.well-known/jwks.json")  # keeps them for 5 minutes, and asks again for an unknown kid

def verify(token):
    key = keys.get_signing_key_from_jwt(token).key
    claims = jwt.decode(token, key, algorithms=["RS256"], issuer=ISSUER, audience=AUDIENCE,
                        leeway=5, options={"require": REQUIRED})
    if jwt.get_unverified_header(token).get("typ", "").lower() != "at+jwt" or claims["exp"] - claims["iat"] > 900:
        raise jwt.InvalidTokenError("not an access token")
    return claims

if __name__ == "__main__":
    for line in sys.stdin:  # a token a line
        try: print("accepted", verify(line.strip())["sub"], flush=True)
        except Exception as error: print("refused", repr(error), flush=True)

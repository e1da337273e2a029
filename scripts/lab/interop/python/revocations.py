# The revocation feed: apt install python3-jwt python3-cryptography python3-requests
import os, time, jwt, requests

ISSUER = os.environ["ISSUER"]
keys, feed, etag = jwt.PyJWKClient(ISSUER + "/.well-known/jwks.json"), None, None

def follow():  # one request
    global feed, etag
    reply = requests.get(ISSUER + "/.well-known/revocations", params={"wait": 25} if etag else {},
                         headers={"If-None-Match": etag} if etag else {}, timeout=35, allow_redirects=False)
    reply.raise_for_status()
    if reply.status_code == 304: return
    if jwt.get_unverified_header(reply.text).get("typ") != "revocations+jwt": raise ValueError("not the feed")
    new = jwt.decode(reply.text, keys.get_signing_key_from_jwt(reply.text).key, algorithms=["RS256"],
                     issuer=ISSUER, leeway=5, options={"require": ["iss", "iat", "exp"]})
    etag = reply.headers["ETag"]
    if feed:
        numbers, held = (new["seq"], new["iat"]), (feed["seq"], feed["iat"])
        if numbers != held and numbers[0] <= held[0] and numbers[1] <= held[1]: return  # a late answer
        new["keys"] = list({*new["keys"], *feed["keys"]})
    feed = new

def watch():  # for ever: threading.Thread(target=watch, daemon=True).start(), after a first follow()
    global etag
    while True:
        try: follow(); time.sleep(0.25)
        except Exception as error: print("revocations:", error); etag = None; time.sleep(5)

def withdrawn(kid, claims):  # after the token itself was verified
    def below(versions, name):
        return name in versions and (versions[name] is None or claims.get("token_version", 0) < versions[name])
    return (claims.get("sid") in feed["sessions"] or claims["jti"] in feed["tokens"] or kid in feed["keys"]
            or below(feed["accounts"], claims["sub"]) or below(feed["clients"], claims["client_id"]))

# apt install python3-jwt python3-cryptography
# Run it before HAProxy starts and then every 5 minutes. Reload HAProxy when it prints "changed".
import json, os, sys, urllib.request, jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SLOTS = 4  # as in haproxy.cfg
issuer, folder = os.environ["ISSUER"], os.environ["KEYS"]
with urllib.request.urlopen(issuer + "/.well-known/jwks.json", timeout=5) as reply:
    keys = [jwt.PyJWK(jwk, "RS256").key for jwk in json.load(reply)["keys"]]
if not 0 < len(keys) <= SLOTS: sys.exit(f"{len(keys)} keys do not fit into {SLOTS} slots")
pems = [key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in keys]
pems += pems[-1:] * (SLOTS - len(pems))

changed = False
for number, pem in enumerate(pems, 1):
    path = os.path.join(folder, f"key-{number}.pem")
    if os.path.exists(path) and open(path, "rb").read() == pem: continue
    with open(path + ".new", "wb") as file: file.write(pem)
    os.replace(path + ".new", path)
    changed = True
print("changed" if changed else "unchanged")

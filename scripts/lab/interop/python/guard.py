# The two recipes together, as a service has them: for the interop run
import sys, threading, jwt
import revocations
from pyjwt import verify

revocations.follow()
threading.Thread(target=revocations.watch, daemon=True).start()
for line in sys.stdin:
    try:
        if line.strip() == "fresh until":
            print("accepted", revocations.held["exp"], flush=True)
            continue
        claims = verify(line.strip())
        kid = jwt.get_unverified_header(line.strip())["kid"]
        print("refused withdrawn" if revocations.withdrawn(kid, claims) else f"accepted {claims['sub']}", flush=True)
    except Exception as error: print("refused", repr(error), flush=True)

# Gives the test vectors to the follower: python3 vectors.py ../../../../src/revocations/vectors
import json, logging, pathlib, sys
from signet.feed_copy import FeedCopy, FeedRefused, Gap, Held, lines_of
from signet.keys import read_jwks

def entries(state):
    found = {}
    for kind, ids in state.items():
        for id, value in ids.items():
            is_floor = isinstance(value, dict)
            found[kind, id] = (value["minVersion"], value["seq"], value["until"]) if is_floor else (None, 0, value)
    return found

def shown(entries):  # a session has no version, and its number does not matter
    return {key: known if key[0] in ("accounts", "clients") else (None, 0, known[2]) for key, known in entries.items()}

def held_of(state):
    return Held(*(state[one] for one in ("history", "seq", "iat", "exp", "cursor")), tuple(state["left"]))

def pieces(text):  # of a size that fits to nothing
    return (text[at:at + 97].encode() for at in range(0, len(text), 97))

def run(vector):
    before, keys = vector["before"], read_jwks(json.dumps(vector["jwks"]).encode())
    withdrawn = set(before["keys"] if before else ())
    copy = FeedCopy(vector["issuer"], vector["skew"], keys.get, withdrawn)
    if before: copy.held, copy.revoked, copy.kept = held_of(before), entries(before["revoked"]), entries(before["kept"])
    outcome, reason = None, None
    try:
        read = copy.read(lines_of(pieces(vector["answer"])), lambda: vector["now"], lambda: None)
        outcome = "applied" if read.applied else "ignored"
    except Gap: outcome = "gap"
    except FeedRefused as error: outcome, reason = "refused", error.why
    copy.forget(vector["now"])
    after = vector["after"]
    expected = after and (held_of(after), entries(after["revoked"]), entries(after["kept"]), set(after["keys"]))
    actual = copy.held and (copy.held, shown(copy.revoked), shown(copy.kept), withdrawn)
    found = (outcome, reason, actual)
    return found == (vector["outcome"], vector.get("reason"), expected), found

logging.disable()
bad = 0
vectors = [vector for path in pathlib.Path(sys.argv[1]).glob("*.json") for vector in json.loads(path.read_text())]
for vector in vectors:
    good, found = run(vector)
    if not good: bad += 1; print("not as expected:", vector["name"], vector["outcome"], vector.get("reason"), found)
print(f"{len(vectors)} vectors, {bad} not as expected")
sys.exit(bad > 0 or len(vectors) < 100)

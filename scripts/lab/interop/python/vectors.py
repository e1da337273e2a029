# Gives the test vectors to the follower: python3 vectors.py ../../../../src/revocations/vectors/*.json
import json, os, sys, jwt
os.environ["ISSUER"] = "https://auth.example.com"
import revocations as own

def entries(state):
    found = {}
    for kind, ids in state.items():
        for id, value in ids.items():
            is_floor = isinstance(value, dict)
            found[kind, id] = (value["minVersion"], value["seq"], value["until"]) if is_floor else (None, None, value)
    return found

def shown(entries):  # a session has no version, and its number does not matter
    kinds = ("accounts", "clients")
    return {key: known if key[0] in kinds else (None, None, known[2]) for key, known in entries.items()}

def run(vector):
    before, jwks = vector["before"], {key["kid"]: jwt.PyJWK(key, "RS256").key for key in vector["jwks"]["keys"]}
    own.key_of = jwks.__getitem__
    own.held = before and {one: before[one] for one in ("history", "seq", "iat", "exp", "cursor", "left")}
    numbered = lambda set: {key: (version, seq or 0, until) for key, (version, seq, until) in entries(set).items()}
    own.revoked, own.kept = (numbered(before["revoked"]), numbered(before["kept"])) if before else ({}, {})
    own.withdrawn_keys = set(before["keys"] if before else ())
    try: outcome = "applied" if own.take(vector["answer"], vector["now"]) else "ignored"
    except LookupError as error: outcome = "gap" if str(error).startswith("a gap") else "refused"
    except Exception: outcome = "refused"
    own.forget(vector["now"])
    after = vector["after"]
    held = after and {one: after[one] for one in own.held or ()}
    expected = after and (held, entries(after["revoked"]), entries(after["kept"]))
    actual = own.held and (own.held, shown(own.revoked), shown(own.kept))
    keys = after is None or own.withdrawn_keys == set(after["keys"])
    return outcome == vector["outcome"] and expected == actual and keys, outcome, actual

bad = 0
vectors = [vector for path in sys.argv[1:] for vector in json.load(open(path))]
for vector in vectors:
    good, *found = run(vector)
    if not good: bad += 1; print("not as expected:", vector["name"], found)
print(f"{len(vectors)} vectors, {bad} not as expected")
sys.exit(bad > 0)

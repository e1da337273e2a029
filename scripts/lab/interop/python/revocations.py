# The revocation feed as a stream of changes: apt install python3-jwt python3-cryptography python3-requests
import os, random, re, time, jwt, requests

ISSUER, SKEW, LONGEST = os.environ["ISSUER"], 5, 900 + 2 * 60 + 86_400
keys, withdrawn_keys, START = jwt.PyJWKClient(ISSUER + "/.well-known/jwks.json"), set(), time.time() - time.monotonic()
held, revoked, kept, asked_at = None, {}, {}, 0  # entries: (kind, id) -> (lowest good version or None, seq, until)
key_of = lambda kid: keys.get_signing_key(kid).key
number = lambda value: type(value) is int and 0 <= value < 2**53
name = lambda value: isinstance(value, str) and 0 < len(value) < 256

def verify(line, now):
    header = jwt.get_unverified_header(line)
    if header != {"alg": "RS256", "typ": "revocation-changes+jwt", "kid": header.get("kid")}: raise ValueError("header")
    if header["kid"] in withdrawn_keys: raise ValueError("key")
    dates = {"verify_exp": False, "verify_iat": False}  # they are judged below
    doc = jwt.decode(line, key_of(header["kid"]), algorithms=["RS256"], options=dates)
    for kind in ("sessions", "tokens"):
        if not isinstance(doc.setdefault(kind, []), list): raise ValueError("claims")
        doc[kind] = dict.fromkeys(doc[kind])
    versions = [*doc.setdefault("accounts", {}).values(), *doc.setdefault("clients", {}).values()]
    numbers = [doc["after"], doc["seq"], doc["iat"], doc["exp"], *(v for v in versions if v is not None),
               *(doc[one] for one in ("page", "pages", "until") if one in doc)]
    names = [doc["history"], *doc["sessions"], *doc["tokens"], *doc["accounts"], *doc["clients"], *doc.get("keys", []),
             *([doc["whole"]] if "whole" in doc else [])]
    if not (all(map(number, numbers)) and all(map(name, names)) and re.fullmatch(r"[\w.-]{1,100}", doc["cursor"], re.A)
            and doc["seq"] >= doc["after"]
            and ("page" in doc) == ("pages" in doc) == ("whole" in doc)): raise ValueError("claims")
    if doc["iss"] != ISSUER: raise ValueError("issuer")
    if doc["iat"] > now + SKEW or doc["exp"] - doc["iat"] > 3600: raise ValueError("dates")
    return doc

def put(entries, key, new, wins):
    old = entries.get(key, new)
    entries[key] = (*(new if wins(old) else old)[:2], max(old[2], new[2]))

def add(entries, doc, now):  # within one history the later number counts
    until = min(doc.get("until", 2**53), now + LONGEST)
    for kind in ("sessions", "tokens", "accounts", "clients"):
        for id, version in doc[kind].items():
            put(entries, (kind, id), (version, doc["seq"], until), lambda old: old[1] <= doc["seq"])

def move_to(doc, entries, dates):  # a whole is complete: take it, unless it is older
    global held, revoked
    same, left = held and doc["history"] == held["history"], held["left"] if held else []
    older = doc["seq"] < held["seq"] if same else doc["history"] in left and doc["iat"] < dates["iat"]
    if older: return False
    if held and not same:  # the store went back: what was refused stays refused, by the stricter version
        for key, new in revoked.items():
            put(kept, key, new, lambda old: new[0] is None or (old[0] is not None and new[0] > old[0]))
        left = [one for one in [*left, held["history"]] if one != doc["history"]][-8:]
    first = dates if same else {"iat": -1, "exp": -1}
    held = {"history": doc["history"], "seq": doc["seq"], "cursor": doc["cursor"], "left": left,
            "iat": max(first["iat"], doc["iat"]), "exp": max(first["exp"], doc["exp"])}
    revoked = entries
    return True

def take(text, now):  # the body of one answer; False when nothing of it was new
    pages, doc, applied, (*lines, rest) = None, None, False, text.split("\n")
    for at, line in enumerate(lines):
        doc = verify(line, now)
        withdrawn_keys.update(doc.get("keys", []))
        dates = held if held and held["iat"] <= now + SKEW else {"iat": -1, "exp": -1}  # else our clock was set back
        if "pages" in doc:
            same = pages and all(pages[1][one] == doc[one] for one in ("history", "seq", "pages", "whole"))
            if doc["after"] or doc["page"] != (pages[1]["page"] if pages else 0) + 1 or doc["page"] > doc["pages"] or \
                    (at and not same): raise ValueError("page")
            for one in ("iat", "exp") if pages else (): doc[one] = min(doc[one], pages[1][one])
            pages = (pages[0] if pages else {}, doc)
            add(pages[0], doc, now)
            if doc["page"] == doc["pages"]: applied, pages = move_to(doc, pages[0], dates) or applied, None
        elif pages: raise ValueError("page")
        elif not held or doc["history"] != held["history"] or held["seq"] < doc["after"]:
            if held: held["cursor"] = None
            raise LookupError("a gap: ask for everything")
        else:
            add(revoked, doc, now)
            if doc["seq"] >= held["seq"]: held["cursor"] = doc["cursor"]
            held.update(seq=max(held["seq"], doc["seq"]), **{one: max(dates[one], doc[one]) for one in ("iat", "exp")})
            applied = True
    if rest or pages or not doc: raise ValueError("cut")
    if doc["exp"] <= now - SKEW: raise ValueError("stale")
    return applied

def forget(now):
    for entries in (revoked, kept):
        for key in [key for key, (_, _, until) in entries.items() if until <= now]: del entries[key]

def follow(wait=0):  # one request; returns the seconds to wait before the next one
    global asked_at
    if held and time.time() < asked_at - SKEW: held["cursor"] = None  # it was ahead, and has forgotten too much
    asked_at, cursor = time.time(), held and held["cursor"]
    asked = {"after": cursor or "0", **({"wait": wait} if cursor and wait else {})}
    reply = requests.get(ISSUER + "/.well-known/revocations", params=asked, timeout=wait + 60, allow_redirects=False)
    pause = min(60, float(reply.headers.get("Retry-After", 0))) * random.uniform(1, 1.25)
    if reply.status_code in (429, 503) and pause: return pause
    if reply.status_code != 200 or reply.headers["Content-Type"] != "application/revocations-seq":
        raise ValueError(f"status {reply.status_code}")
    take(reply.text, time.time())
    forget(min(time.time(), START + time.monotonic()))  # the system clock may be wrong for a moment
    return max(0.25, pause)

def watch():  # for ever: threading.Thread(target=watch, daemon=True).start(), after a first follow()
    wait = 25
    while True:
        try: pause, wait = follow(wait), 25
        except LookupError: pause, wait = 0.25, 0
        except Exception as error: print("revocations:", error); pause, wait = 5, 0
        time.sleep(pause)

def withdrawn(kid, claims):  # after the token itself was verified
    def hit(entries, kind, id, version):
        entry = entries.get((kind, id))
        return entry is not None and (entry[0] is None or version < entry[0])
    version = claims.get("token_version", 0)
    subjects = [("sessions", claims.get("sid")), ("tokens", claims["jti"])]
    subjects += [("accounts", claims["sub"]), ("clients", claims["client_id"])]
    return kid in withdrawn_keys or any(hit(set, *subject, version) for set in (revoked, kept) for subject in subjects)

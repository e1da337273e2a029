// Package signet verifies the access tokens of a Signet server, and refuses what was taken back within about a second.
//
// It is one file on the standard library (Go 1.19 or newer): copy it into your module. It is one file on purpose, and
// therefore a long one. A Verifier judges tokens; its Guard protects every path of a handler, and its Demand asks for
// roles, scopes and a recent login. The checks, their order, the words for refusals and the answers are those of the
// package signet-verifier for Node.
package signet

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// ---- Refusals ----

type answer struct {
	status     int
	title      string
	challenge  string // the error of the challenge; "none": no error in it; empty: no challenge
	retryAfter string
}

var answers = map[string]answer{
	"invalid_request": {400, "A request carries exactly one Authorization header.", "invalid_request", ""},
	"missing_token":   {401, "This route needs an access token: Authorization: Bearer <token>.", "none", ""},
	"invalid_token":   {401, "The access token is not valid.", "invalid_token", ""},
	"token_expired":   {401, "The access token has expired.", "invalid_token", ""},
	"token_stale": {401, "The roles or the status of the account changed after this token was issued: refresh once.",
		"invalid_token", ""},
	"insufficient_user_authentication": {401, "This route asks for a more recent login.",
		"insufficient_user_authentication", ""},
	"insufficient_scope": {403, "The token does not allow this.", "insufficient_scope", ""},
	"keys_unavailable":   {503, "The keys of the issuer cannot be fetched. Try again shortly.", "", "2"},
	"revocations_stale":  {503, "This server has lost touch with the revocations. Try again shortly.", "", "5"},
}

// Refused says why a token or its caller was refused. It never holds a token.
type Refused struct {
	Code    string // what the caller learns, for example "invalid_token"
	Refusal string // the reason as a word for logs and metrics, for example "revoked_session"
	reason  string
	cause   error
	more    string // further parameters of the challenge
}

func (r *Refused) Error() string { return "signet: " + r.Refusal + ": " + r.reason }

// Unwrap returns what went wrong with the issuer, if anything did.
func (r *Refused) Unwrap() error { return r.cause }

// Answer writes the status, the challenge of RFC 6750 and the problem document of RFC 9457.
func (r *Refused) Answer(w http.ResponseWriter) {
	row := answers[r.Code]
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
	}{"urn:signet:error:" + r.Code, row.title, row.status, r.Code})
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "application/problem+json; charset=utf-8")
	switch row.challenge {
	case "":
	case "none":
		header.Set("WWW-Authenticate", `Bearer realm="signet"`)
	default:
		header.Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="signet", error="%s", error_description="%s"%s`,
			row.challenge, row.title, r.more))
	}
	if row.retryAfter != "" {
		header.Set("Retry-After", row.retryAfter)
	}
	w.WriteHeader(row.status)
	_, _ = w.Write(bytes.TrimRight(body.Bytes(), "\n"))
}

func bad(refusal, reason string) *Refused {
	return &Refused{Code: "invalid_token", Refusal: refusal, reason: reason}
}

func expired() *Refused {
	return &Refused{Code: "token_expired", Refusal: "expired", reason: "exp is in the past"}
}

func noKeys(reason string, cause error) *Refused {
	return &Refused{Code: "keys_unavailable", Refusal: "keys_unavailable", reason: reason, cause: cause}
}

// ---- The text of a token ----

const (
	longestToken = 4096
	maxCount     = 1<<53 - 1       // the last whole number of JSON
	maxTime      = 253_402_300_799 // the last second of the year 9999
)

var (
	bearer     = regexp.MustCompile(`^(?i:bearer) +`)
	bareBearer = regexp.MustCompile(`^(?i:bearer)\s*$`)
)

func tokenOf(lines []string) (string, error) {
	if len(lines) > 1 {
		return "", &Refused{Code: "invalid_request", Refusal: "token_repeated", reason: "two Authorization headers"}
	}
	missing := &Refused{Code: "missing_token", Refusal: "token_missing", reason: "no Bearer token"}
	if len(lines) == 0 {
		return "", missing
	}
	if len(lines[0]) > longestToken+16 {
		return "", bad("malformed", "the Authorization header is too long")
	}
	if scheme := bearer.FindString(lines[0]); scheme != "" {
		return lines[0][len(scheme):], nil
	}
	if bareBearer.MatchString(lines[0]) {
		return "", bad("malformed", "Bearer without a token")
	}
	return "", missing
}

// bytesOf decodes base64url in its one canonical spelling: others have the same bytes.
func bytesOf(part string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || part == "" || base64.RawURLEncoding.EncodeToString(raw) != part {
		return nil, bad("malformed", "a part of the token is not canonical base64url")
	}
	return raw, nil
}

// objectOf reads a JSON object in UTF-8, numbers as they are written. Of two members with one name the last one
// counts, as in the other verifiers; a struct would also take names in other letter case.
func objectOf(raw []byte) (map[string]any, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return nil, errors.New("not JSON in UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, errNoObject
	}
	return object, nil
}

var errNoObject = errors.New("not a JSON object")

// hasHalfPair is true when an escape is half of a surrogate pair: the decoder puts U+FFFD in its place, and two
// identifiers could become one.
func hasHalfPair(raw []byte) bool {
	unit := func(at int) rune {
		if at+6 > len(raw) || raw[at] != '\\' || raw[at+1] != 'u' {
			return 0
		}
		value, _ := strconv.ParseUint(string(raw[at+2:at+6]), 16, 32)
		return rune(value)
	}
	for at := 0; at < len(raw); at++ {
		if raw[at] != '\\' {
			continue
		}
		if !utf16.IsSurrogate(unit(at)) {
			at++ // what is escaped may be a backslash
		} else if utf16.DecodeRune(unit(at), unit(at+6)) == unicode.ReplacementChar {
			return true
		} else {
			at += 11
		}
	}
	return false
}

type parsedToken struct {
	kid                string
	payload, signature []byte
	signed             string
}

// parse checks all that needs no key. A header of alg, kid and typ alone settles crit, b64, jwk, jku, x5u, x5c, zip.
func parse(token, typ string, longest int) (*parsedToken, error) {
	if len(token) > longest {
		return nil, bad("malformed", "the token is too long")
	}
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 || len(parts[0]) > longestToken {
		return nil, bad("malformed", "the token does not have three parts")
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = bytesOf(part); err != nil {
			return nil, err
		}
	}
	header, err := objectOf(raw[0])
	if err != nil || !utf8.Valid(raw[1]) {
		return nil, bad("malformed", "the header is not a JSON object, or the payload is not UTF-8")
	}
	for name := range header {
		if name != "alg" && name != "kid" && name != "typ" {
			return nil, bad("malformed", "the header has a member other than alg, kid and typ")
		}
	}
	if header["alg"] != "RS256" {
		return nil, bad("alg", "alg is not RS256")
	}
	said, _ := header["typ"].(string)
	if strings.TrimPrefix(strings.ToLower(said), "application/") != typ {
		return nil, bad("typ", "typ is not "+typ)
	}
	kid, _ := header["kid"].(string)
	if kid == "" {
		return nil, bad("malformed", "kid is not a text, or is empty")
	}
	return &parsedToken{kid, raw[1], raw[2], token[:len(parts[0])+1+len(parts[1])]}, nil
}

func (p *parsedToken) verifiedBy(key *rsa.PublicKey) error {
	digest := sha256.Sum256([]byte(p.signed))
	// RFC 8017 section 8.2.2: a number that is not below the modulus. Older versions of Go do not check it.
	if new(big.Int).SetBytes(p.signature).Cmp(key.N) >= 0 {
		return bad("signature", "the signature is out of range")
	}
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], p.signature); err != nil {
		return bad("signature", "the signature does not match the key")
	}
	return nil
}

// ---- The claims ----

// Claims are those of a good token. Times are seconds since 1970; 0 or empty: the token does not have it.
type Claims struct {
	Issuer, Subject, ClientID, ID, SessionID string
	Audience, Roles, Scope                   []string
	IssuedAt, Expires, AuthTime              int64
	TokenVersion                             int64
	All                                      map[string]any // every claim; numbers are json.Number
}

// isText is true for what may stand in an identifier: stores, logs and people do not see the characters it refuses.
func isText(value any, longest int, blank bool) bool {
	text, ok := value.(string)
	if !ok || len(utf16.Encode([]rune(text))) > longest {
		return false
	}
	for _, char := range text {
		switch {
		case char < 0x20, char >= 0x7f && char <= 0x9f, char == 0x2028, char == 0x2029:
			return false
		case !unicode.IsSpace(char) && char != 0xfeff:
			blank = true
		}
	}
	return blank
}

func areTexts(value any, longest int) bool {
	list, ok := value.([]any)
	for _, one := range list {
		ok = ok && isText(one, longest, false)
	}
	return ok && len(list) <= 32
}

// numberOf returns a whole number from 0 to most; 1800000000.0 and 18e8 are such.
func numberOf(value any, most float64) (int64, bool) {
	written, ok := value.(json.Number)
	number, err := written.Float64()
	return int64(number), ok && err == nil && number == math.Trunc(number) && number >= 0 && number <= most
}

func isNumber(value any, most float64) bool {
	_, ok := numberOf(value, most)
	return ok
}

func identifier(value any) bool { return isText(value, 255, false) }
func instant(value any) bool    { return isNumber(value, maxTime) }

var claimChecks = []struct {
	name     string
	required bool
	good     func(any) bool
}{
	{"iss", true, identifier}, {"sub", true, identifier}, {"client_id", true, identifier}, {"jti", true, identifier},
	{"iat", true, instant}, {"exp", true, instant}, {"nbf", false, instant}, {"auth_time", false, instant},
	{"sid", false, identifier},
	{"aud", true, func(v any) bool {
		list, _ := v.([]any)
		return identifier(v) || (len(list) > 0 && areTexts(v, 255))
	}},
	{"scope", false, func(v any) bool { return isText(v, 2048, true) }},
	{"roles", false, func(v any) bool { return areTexts(v, 64) }},
	{"token_version", false, func(v any) bool { return isNumber(v, maxCount) }},
	{"email_verified", false, func(v any) bool { _, ok := v.(bool); return ok }},
}

// accept checks the claims of a payload whose signature is good.
func accept(payload []byte, issuer string, audience []string, skew, now int64) (*Claims, error) {
	if !json.Valid(payload) {
		return nil, bad("malformed", "the payload is not JSON")
	}
	all, err := objectOf(payload)
	if err != nil || hasHalfPair(payload) {
		return nil, bad("claim", "the payload is not a JSON object of texts")
	}
	for _, check := range claimChecks {
		value, has := all[check.name]
		if (!has && check.required) || (has && !check.good(value)) {
			return nil, bad("claim", check.name+" is missing, or not as it may be")
		}
	}
	text := func(name string) string { value, _ := all[name].(string); return value }
	number := func(name string) int64 { value, _ := numberOf(all[name], maxCount); return value }
	claims := &Claims{
		Issuer: text("iss"), Subject: text("sub"), ClientID: text("client_id"), ID: text("jti"),
		SessionID: text("sid"), Audience: textsOf(all["aud"]), Roles: textsOf(all["roles"]),
		Scope: namesOf(text("scope")), IssuedAt: number("iat"), Expires: number("exp"),
		AuthTime: number("auth_time"), TokenVersion: number("token_version"), All: all,
	}
	_, isBound := all["cnf"]
	lifetime := claims.Expires - claims.IssuedAt
	switch {
	case claims.Issuer != issuer:
		return nil, bad("issuer", "iss is not "+issuer)
	case !overlap(claims.Audience, audience):
		return nil, bad("audience", "aud has none of the configured audiences")
	case isBound:
		return nil, bad("proof_of_possession", "cnf asks for a proof of possession")
	case claims.IssuedAt > now+skew, number("nbf") > now+skew:
		return nil, bad("not_yet_valid", "iat or nbf is in the future")
	case lifetime <= 0, lifetime > 900:
		return nil, bad("lifetime", "exp is not after iat, or too long after it")
	case claims.Expires <= now-skew:
		return nil, expired()
	}
	return claims, nil
}

// namesOf splits at the space alone: strings.Fields would make two scopes of one that has another white space in it.
func namesOf(scope string) []string {
	if scope == "" {
		return nil
	}
	return strings.Split(scope, " ")
}

func textsOf(value any) []string {
	if text, ok := value.(string); ok {
		return []string{text}
	}
	list, _ := value.([]any)
	texts := make([]string, 0, len(list))
	for _, one := range list {
		text, _ := one.(string)
		texts = append(texts, text)
	}
	return texts
}

func overlap(some, others []string) bool {
	for _, one := range some {
		for _, other := range others {
			if one == other {
				return true
			}
		}
	}
	return false
}

func within(some, all []string) bool {
	for _, one := range some {
		if !overlap([]string{one}, all) {
			return false
		}
	}
	return true
}

// ---- The keys ----

type jwks struct {
	keys       map[string]*rsa.PublicKey
	etag       string
	madeAt     time.Time // when the issuer made it, as far as is known
	goodUntil  time.Time // from then on its keys are not used
	freshUntil int64     // epoch seconds: the monotonic clock may stop while a machine sleeps
}

// keyring keeps the JWKS of the issuer for its max-age, and fetches it again, one request at a time.
type keyring struct {
	url                                     string
	client                                  *http.Client
	timeout                                 time.Duration
	maxStale                                time.Duration
	failed                                  func(error)
	closing                                 context.Context // ends every request
	request                                 chan struct{}   // holds one element while a request is under way
	mu                                      sync.RWMutex
	current                                 jwks
	revoked                                 map[string]bool // never used again, whatever a JWKS says
	failures                                int
	dueAt, failedAt, answeredAt, searchedAt time.Time
	coolDown                                time.Duration        // between two searches for unknown kids
	notFound                                map[string]time.Time // not searched again before
}

func (k *keyring) get(kid string) *rsa.PublicKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.revoked[kid] || !time.Now().Before(k.current.goodUntil) {
		return nil
	}
	return k.current.keys[kid]
}

func (k *keyring) isRevoked(kid string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.revoked[kid]
}

func (k *keyring) revoke(kids []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, kid := range kids {
		k.revoked[kid] = true
	}
}

func (k *keyring) areThere() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return time.Now().Before(k.current.goodUntil)
}

// isOver is true when another copy should be there by the system's clock: after a standstill.
func (k *keyring) isOver() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return time.Now().Before(k.current.goodUntil) && time.Now().Unix() >= k.current.freshUntil
}

func (k *keyring) isDue() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return !time.Now().Before(k.dueAt)
}

// take waits for the request that is under way, and then holds the right to the next one.
func (k *keyring) take(ctx context.Context) error {
	select {
	case k.request <- struct{}{}:
		return nil
	case <-ctx.Done():
		return noKeys("nobody waits for the answer any more", ctx.Err())
	}
}

// seek asks for a kid that is not known, unless that was done a moment ago: anybody can send unknown kids, and a flood
// of them must not become one at the issuer. urgent: a search that no stranger can cause.
func (k *keyring) seek(ctx context.Context, kid string, urgent bool) error {
	if err := k.take(ctx); err != nil {
		return err
	}
	defer func() { <-k.request }()
	if k.get(kid) != nil {
		return nil
	}
	if may, err := k.mayAsk(kid, urgent); !may || err != nil {
		return err
	}
	if !urgent {
		k.mu.Lock()
		k.searchedAt = time.Now()
		k.mu.Unlock()
	}
	if err := k.fetch(kid); err != nil || urgent {
		return err
	}
	k.searched(kid, k.get(kid) != nil)
	return nil
}

func (k *keyring) searched(kid string, found bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found {
		k.coolDown = time.Second
		return
	}
	k.coolDown = min(10*time.Second, 2*k.coolDown)
	if len(k.notFound) >= 1000 {
		k.notFound = map[string]time.Time{}
	}
	k.notFound[bounded(kid)] = time.Now().Add(5 * time.Second)
}

func (k *keyring) mayAsk(kid string, urgent bool) (bool, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	now := time.Now()
	switch {
	case k.failures > 0 && now.Before(k.failedAt.Add(k.backOff())):
		return false, noKeys("the last request failed a moment ago", nil)
	case !now.Before(k.current.goodUntil):
		if now.Before(k.answeredAt.Add(time.Second)) {
			return false, noKeys("the answer of a moment ago was too old", nil)
		}
		return true, nil
	case k.revoked[kid]:
		return false, nil
	}
	return urgent || (!now.Before(k.searchedAt.Add(k.coolDown)) && !now.Before(k.notFound[bounded(kid)])), nil
}

// backOff is called with the lock held.
func (k *keyring) backOff() time.Duration {
	most := 2 * time.Second
	if time.Now().Before(k.current.goodUntil) {
		most = 30 * time.Second
	}
	return min(most, 500*time.Millisecond<<min(k.failures-1, 10))
}

// refresh fetches the JWKS when its time has come.
func (k *keyring) refresh(ctx context.Context) {
	if k.take(ctx) != nil {
		return
	}
	defer func() { <-k.request }()
	if k.isDue() || k.isOver() {
		_ = k.fetch("") // told to `failed`; the keys stay good for a while
	}
}

// fetch is called by who holds the request. A kid that is searched stands in the URL, so that no shared cache can
// answer with an old copy.
func (k *keyring) fetch(kid string) error {
	began := time.Now()
	err := k.fetchSince(began, kid)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		k.failures, k.answeredAt = 0, time.Now()
		return nil
	}
	k.failures++
	k.failedAt = time.Now()
	k.dueAt = k.failedAt.Add(k.backOff())
	err = fmt.Errorf("signet: keys: %w", err)
	k.failed(err)
	return noKeys("the keys can't be fetched", err)
}

func (k *keyring) fetchSince(began time.Time, kid string) error {
	ctx, cancel := context.WithTimeout(k.closing, k.timeout)
	defer cancel()
	address := k.url
	if kid != "" {
		address += "?" + url.Values{"kid": {bounded(kid)}}.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if kid != "" {
		request.Header.Set("Cache-Control", "no-cache")
	}
	k.mu.RLock()
	before := k.current
	k.mu.RUnlock()
	if before.etag != "" {
		request.Header.Set("If-None-Match", before.etag)
	}
	reply, err := k.client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	fresh := jwks{keys: before.keys, etag: before.etag}
	if reply.StatusCode != http.StatusNotModified || before.etag == "" {
		if fresh.keys, err = readJwks(reply); err != nil {
			return err
		}
		fresh.etag = reply.Header.Get("ETag")
	}
	k.keep(fresh, before, reply, began)
	return nil
}

var (
	maxAge = regexp.MustCompile(`(?i)(?:^|[\s,])max-age=(\d{1,9})`)
	aged   = regexp.MustCompile(`^\s*(\d{1,9})\s*(?:,|$)`)
)

func secondsIn(pattern *regexp.Regexp, header string, otherwise int) time.Duration {
	if found := pattern.FindStringSubmatch(header); found != nil {
		otherwise, _ = strconv.Atoi(found[1])
	}
	return time.Duration(otherwise) * time.Second
}

func (k *keyring) keep(fresh, before jwks, reply *http.Response, began time.Time) {
	lifetime := min(24*time.Hour, max(5*time.Second, secondsIn(maxAge, reply.Header.Get("Cache-Control"), 300)))
	fresh.madeAt = began.Add(-secondsIn(aged, reply.Header.Get("Age"), 0))
	freshFor := max(time.Second, lifetime-time.Since(fresh.madeAt))
	fresh.goodUntil = fresh.madeAt.Add(lifetime + k.maxStale)
	fresh.freshUntil = time.Now().Add(freshFor).Unix()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dueAt = time.Now().Add(freshFor)
	// An older copy of a shared cache would forget the newest key, and bring back a revoked one.
	if reply.StatusCode == http.StatusOK && fresh.madeAt.Add(time.Second).Before(before.madeAt) {
		return
	}
	if fresh.madeAt.Before(before.madeAt) {
		fresh.madeAt = before.madeAt
	}
	k.current = fresh
}

// readJwks returns the keys that can be used. One that can't must not take the others with it.
func readJwks(reply *http.Response) (map[string]*rsa.PublicKey, error) {
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", reply.StatusCode)
	}
	const most = 256 * 1024
	raw, err := io.ReadAll(io.LimitReader(reply.Body, most+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > most {
		return nil, fmt.Errorf("more than %d bytes", most)
	}
	return keysOf(raw)
}

func keysOf(raw []byte) (map[string]*rsa.PublicKey, error) {
	document, err := objectOf(raw)
	if err != nil {
		return nil, err
	}
	list, _ := document["keys"].([]any)
	keys := map[string]*rsa.PublicKey{}
	for i, one := range list {
		jwk, _ := one.(map[string]any)
		use, hasUse := jwk["use"]
		_, isPrivate := jwk["d"]
		if i >= 64 || jwk["alg"] != "RS256" || jwk["kty"] != "RSA" || isPrivate || (hasUse && use != "sig") {
			continue
		}
		text, _ := jwk["n"].(string)
		n, err := base64.RawURLEncoding.DecodeString(text)
		modulus := new(big.Int).SetBytes(n)
		if err != nil || jwk["e"] != "AQAB" || modulus.BitLen() < 2048 {
			continue
		}
		own := base64.RawURLEncoding.EncodeToString(modulus.Bytes())
		thumbprint := sha256.Sum256([]byte(`{"e":"AQAB","kty":"RSA","n":"` + own + `"}`)) // RFC 7638
		kid := base64.RawURLEncoding.EncodeToString(thumbprint[:])
		if jwk["kid"] == kid {
			keys[kid] = &rsa.PublicKey{N: modulus, E: 65537}
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("a JWK Set without a key that can be used")
	}
	return keys, nil
}

func bounded(kid string) string { return strings.ToValidUTF8(kid[:min(len(kid), 255)], "") }

func min[T int | time.Duration | int64](a, b T) T {
	if a < b {
		return a
	}
	return b
}

func max[T int | time.Duration | int64](a, b T) T {
	if a > b {
		return a
	}
	return b
}

// ---- The copy of the feed, by the ten rules of src/revocations/README.md in the repository of Signet ----

const (
	lineBytes    = 1 << 20
	answerBytes  = 128 << 20
	longestEntry = 900 + 2*60 + 86_400 // seconds: no entry is kept for longer
	none         = -1                  // no version is good
)

// feedRefused says why an answer, or the rest of one, is not taken. The test vectors know why.
type feedRefused struct {
	why string
	err error
}

func (e *feedRefused) Error() string {
	return fmt.Sprintf("the feed is not taken: %s: %v", e.why, e.err)
}
func (e *feedRefused) Unwrap() error { return e.err }

func refuse(why, reason string) error { return &feedRefused{why, errors.New(reason)} }

var errGap = errors.New("something is missing before a change: ask for everything")

type subject struct{ kind, id string }

// entry refuses all versions below version; none: all there are.
type entry struct{ version, seq, until int64 }

type held struct {
	history       string // empty: there is no copy yet
	seq, iat, exp int64
	cursor        string   // empty: ask for everything
	left          []string // the last histories that were left
}

type document struct {
	held
	after, until  int64
	page, pages   int64
	whole, issuer string
	keys          []string
	entries       map[subject]int64
}

// feedCopy is everything that is revoked.
type feedCopy struct {
	issuer  string
	skew    int64
	keyOf   func(kid string) (*rsa.PublicKey, error)
	revoke  func(kids []string)
	mu      sync.RWMutex
	held    held
	revoked map[subject]entry
	kept    map[subject]entry // what histories that were left refused
}

// refusalOf returns what refuses these claims, or "". What a refresh can't mend goes first.
func (c *feedCopy) refusalOf(claims *Claims) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	hit := func(entries map[subject]entry, kind, id string) (bool, entry) {
		found, has := entries[subject{kind, id}]
		return has && (found.version == none || claims.TokenVersion < found.version), found
	}
	stale := ""
	for _, entries := range []map[subject]entry{c.revoked, c.kept} {
		if is, _ := hit(entries, "sessions", claims.SessionID); is && claims.SessionID != "" {
			return "revoked_session"
		}
		if is, _ := hit(entries, "tokens", claims.ID); is {
			return "revoked_token"
		}
		if is, _ := hit(entries, "clients", claims.ClientID); is {
			return "revoked_client"
		}
		if is, found := hit(entries, "accounts", claims.Subject); is && found.version == none {
			return "revoked_account"
		} else if is {
			stale = "stale_version"
		}
	}
	return stale
}

// dates are no measure when our clock was set back (rule 9). It is called with the lock held.
func (c *feedCopy) dates(now int64) (iat, exp int64) {
	if c.held.history == "" || c.held.iat > now+c.skew {
		return -1, -1
	}
	return c.held.iat, c.held.exp
}

func (c *feedCopy) isStale(now int64) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, exp := c.dates(now)
	return now >= exp+c.skew
}

func (c *feedCopy) cursor() string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.held.cursor
}

func (c *feedCopy) startAnew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held.cursor = ""
}

func (c *feedCopy) forget(now int64) {
	c.mu.RLock()
	sets := [2]map[subject]entry{c.revoked, c.kept}
	var over [2][]subject
	for i, entries := range sets {
		for key, one := range entries {
			if one.until <= now {
				over[i] = append(over[i], key)
			}
		}
	}
	c.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, entries := range sets {
		for _, key := range over[i] {
			if entries[key].until <= now {
				delete(entries, key)
			}
		}
	}
}

type pages struct {
	last    document
	entries map[subject]entry
}

type brought struct {
	applied bool // anything that was not older than the copy
	whole   bool
}

// read takes one answer, line by line. What was applied before an error stays. goesOn is called when the answer
// brings something.
func (c *feedCopy) read(body io.Reader, now func() int64, goesOn func()) (brought, error) {
	var got brought
	var last *document
	var whole *pages
	lines := bufio.NewReaderSize(&limited{body, answerBytes}, lineBytes+1)
	for vain := 0; ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case err == io.EOF && len(line) == 0:
			if whole != nil || last == nil {
				return got, refuse("cut", "the answer is empty, or ends within a whole")
			}
			if last.exp <= now()-c.skew {
				return got, refuse("stale", "the last document is over")
			}
			return got, nil
		case err == io.EOF:
			return got, refuse("cut", "the answer ends within a line")
		case err == bufio.ErrBufferFull:
			return got, refuse("size", "a line of more than 1 MiB")
		case err != nil:
			return got, err
		}
		instant := now()
		doc, err := c.verified(string(line[:len(line)-1]), instant)
		if err != nil {
			return got, err
		}
		c.revoke(doc.keys)
		rises, applied, err := c.take(doc, &whole, last == nil, instant)
		got.applied = got.applied || applied
		got.whole = got.whole || doc.pages > 0
		if err != nil {
			return got, err
		}
		last = doc
		if rises || doc.pages > 0 {
			goesOn()
		} else if vain++; vain > 512 {
			return got, refuse("size", "too many documents that bring nothing")
		}
	}
}

// limited fails beyond its bound, where io.LimitReader would look like the end.
type limited struct {
	reader io.Reader
	left   int
}

func (l *limited) Read(into []byte) (int, error) {
	n, err := l.reader.Read(into)
	if l.left -= n; l.left < 0 {
		return 0, refuse("size", "a too long answer")
	}
	return n, err
}

func (c *feedCopy) take(doc *document, whole **pages, first bool, now int64) (rises, applied bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.held.seq
	switch {
	case doc.pages > 0:
		if *whole, err = c.page(doc, *whole, first, now); err == nil && doc.page == doc.pages {
			applied = c.moveTo((*whole).last, (*whole).entries, now)
			*whole = nil
		}
	case *whole != nil:
		err = refuse("page", "pages are missing")
	default:
		err = c.change(doc, now)
		applied = err == nil
	}
	return c.held.seq > before, applied, err
}

// verified is rule 1.
func (c *feedCopy) verified(line string, now int64) (*document, error) {
	token, err := parse(line, "revocation-changes+jwt", lineBytes)
	if err != nil {
		return nil, &feedRefused{"header", err}
	}
	key, err := c.keyOf(token.kid)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, refuse("key", "signed by a key that is revoked, or not in the JWKS")
	}
	if err := token.verifiedBy(key); err != nil {
		return nil, &feedRefused{"signature", err}
	}
	doc, err := documentOf(token.payload)
	switch {
	case err != nil:
		return nil, &feedRefused{"claims", err}
	case doc.issuer != c.issuer:
		return nil, refuse("issuer", "of another issuer")
	case doc.iat > now+c.skew, doc.exp-doc.iat > 3600:
		return nil, refuse("dates", "dated in the future, or fresh for too long")
	}
	return doc, nil
}

var cursorText = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// members reads the claims of a document, and remembers what is wrong with them. Others are ignored.
type members struct {
	all   map[string]any
	fault error
}

func (m *members) has(name string) bool { _, has := m.all[name]; return has }

func (m *members) check(name string, good bool) {
	if !good {
		m.fault = fmt.Errorf("%s is missing, or of another type", name)
	}
}

// count returns otherwise for a member that is absent.
func (m *members) count(name string, otherwise int64) int64 {
	if !m.has(name) {
		return otherwise
	}
	number, ok := numberOf(m.all[name], maxCount)
	m.check(name, ok)
	return number
}

func (m *members) text(name string, longest int) string {
	text, _ := m.all[name].(string)
	m.check(name, !m.has(name) || isName(text, longest))
	return text
}

func (m *members) ids(name string) []string {
	list, ok := m.all[name].([]any)
	m.check(name, ok || !m.has(name))
	found := make([]string, 0, len(list))
	for _, one := range list {
		id, _ := one.(string)
		m.check(name, isName(id, 255))
		found = append(found, id)
	}
	return found
}

// versions: none for a null.
func (m *members) versions(name string) map[string]int64 {
	object, ok := m.all[name].(map[string]any)
	m.check(name, ok || !m.has(name))
	found := make(map[string]int64, len(object))
	for id, value := range object {
		number, ok := numberOf(value, maxCount)
		if value == nil {
			number, ok = none, true
		}
		m.check(name, ok && isName(id, 255))
		found[id] = number
	}
	return found
}

func isName(text string, longest int) bool {
	return text != "" && utf8.RuneCountInString(text) <= longest
}

func documentOf(payload []byte) (*document, error) {
	all, err := objectOf(payload)
	if err != nil {
		return nil, err
	}
	m := &members{all: all}
	for _, name := range []string{"iss", "history", "after", "seq", "iat", "exp", "cursor"} {
		m.check(name, m.has(name))
	}
	doc := &document{
		held: held{history: m.text("history", 64), seq: m.count("seq", 0), iat: m.count("iat", 0),
			exp: m.count("exp", 0), cursor: m.text("cursor", 100)},
		after: m.count("after", 0), until: m.count("until", math.MaxInt64), page: m.count("page", 0),
		pages: m.count("pages", 0), whole: m.text("whole", 64), issuer: m.text("iss", 255), keys: m.ids("keys"),
		entries: map[subject]int64{},
	}
	for _, kind := range []string{"sessions", "tokens"} {
		for _, id := range m.ids(kind) {
			doc.entries[subject{kind, id}] = none
		}
	}
	for _, kind := range []string{"accounts", "clients"} {
		for id, version := range m.versions(kind) {
			doc.entries[subject{kind, id}] = version
		}
	}
	m.check("cursor", cursorText.MatchString(doc.cursor))
	m.check("seq", doc.seq >= doc.after)
	isPage := m.has("page")
	m.check("page", m.has("pages") == isPage && m.has("whole") == isPage)
	m.check("page", !isPage || (doc.after == 0 && doc.pages > 0))
	return doc, m.fault
}

// add: within one history the later number counts. until is rule 10.
func add(entries map[subject]entry, doc *document, now int64) {
	until := min(doc.until, now+longestEntry)
	for key, version := range doc.entries {
		known, has := entries[key]
		put(entries, key, entry{version, doc.seq, until}, !has || known.seq <= doc.seq)
	}
}

func put(entries map[subject]entry, key subject, fresh entry, wins bool) {
	until := max(fresh.until, entries[key].until)
	if !wins {
		fresh = entries[key]
	}
	fresh.until = until
	entries[key] = fresh
}

// change is rules 3 and 4.
func (c *feedCopy) change(doc *document, now int64) error {
	if doc.history != c.held.history || c.held.seq < doc.after {
		c.held.cursor = ""
		return errGap
	}
	add(c.revoked, doc, now)
	iat, exp := c.dates(now)
	if doc.seq >= c.held.seq {
		c.held.cursor = doc.cursor
	}
	c.held.seq, c.held.iat, c.held.exp = max(c.held.seq, doc.seq), max(iat, doc.iat), max(exp, doc.exp)
	return nil
}

// page is rule 5.
func (c *feedCopy) page(doc *document, before *pages, first bool, now int64) (*pages, error) {
	if before == nil {
		if !first {
			return nil, refuse("page", "a whole that is not at the beginning")
		}
		before = &pages{entries: map[subject]entry{}}
	} else if last := before.last; last.history != doc.history || last.seq != doc.seq || last.pages != doc.pages ||
		last.whole != doc.whole {
		return nil, refuse("page", "pages of two wholes")
	}
	if doc.page != before.last.page+1 || doc.page > doc.pages {
		return nil, refuse("page", "a whole whose pages are not in order")
	}
	dated := *doc
	if before.last.page > 0 {
		dated.iat, dated.exp = min(doc.iat, before.last.iat), min(doc.exp, before.last.exp)
	}
	add(before.entries, doc, now)
	return &pages{dated, before.entries}, nil
}

// moveTo is rules 6 and 7: a whole is complete. It returns whether it was taken.
func (c *feedCopy) moveTo(doc document, entries map[subject]entry, now int64) bool {
	iat, exp := c.dates(now)
	hasCopy, isSame := c.held.history != "", doc.history == c.held.history
	wasLeft := hasCopy && !isSame && overlap(c.held.left, []string{doc.history})
	if isSame && doc.seq < c.held.seq || wasLeft && doc.iat < iat {
		return false // it is older
	}
	left := c.held.left
	if hasCopy && !isSame { // the store went back: what was refused stays refused, by the stricter version
		for key, one := range c.revoked {
			known, has := c.kept[key]
			put(c.kept, key, one, !has || one.version == none || (known.version != none && one.version > known.version))
		}
		left = nil
		for _, history := range append(append([]string{}, c.held.left...), c.held.history) {
			if history != doc.history {
				left = append(left, history)
			}
		}
		left = left[max(0, len(left)-8):]
	}
	if !isSame {
		iat, exp = -1, -1
	}
	c.held = held{doc.history, doc.seq, max(iat, doc.iat), max(exp, doc.exp), doc.cursor, left}
	c.revoked = entries
	return true
}

// ---- Following the feed ----

// standstill counts how often this process stood still: a container that was paused, a laptop that slept.
type standstill struct{ times, beatAt atomic.Int64 }

func (s *standstill) count() int64 {
	now, before := time.Now().Unix(), s.beatAt.Load()
	if now-before >= 3 && s.beatAt.CompareAndSwap(before, now) {
		s.times.Add(1)
	}
	return s.times.Load()
}

func (s *standstill) beat() {
	s.count()
	s.beatAt.Store(time.Now().Unix())
}

type follower struct {
	url        string
	client     *http.Client
	timeout    time.Duration
	failed     func(error)
	copy       *feedCopy
	still      *standstill
	closing    context.Context // ends every request
	first      chan struct{}   // closed when the first look is over, whatever came of it
	looking    chan struct{}   // holds one element while tokens wait for a look
	mu         sync.Mutex
	seen       int64 // standstills after which was looked
	inVain     bool  // the last look gave no fresh copy: another one would not help now
	inDoubt    bool  // after a failure the next answer has to come at once
	anew       int   // how many answers in a row led nowhere
	lookedAt   int64
	retryAfter time.Duration
}

func (f *follower) isDue() bool {
	select {
	case <-f.first:
	default:
		return true
	}
	f.mu.Lock()
	seen, inVain := f.seen, f.inVain
	f.mu.Unlock()
	return f.still.count() != seen || (!inVain && f.copy.isStale(time.Now().Unix()))
}

// catchUp returns when a look is over, with or without success. Several tokens wait for one look.
func (f *follower) catchUp(ctx context.Context) {
	select {
	case <-f.first:
	case <-ctx.Done():
		return
	case <-time.After(time.Minute):
		return
	}
	select {
	case f.looking <- struct{}{}:
		defer func() { <-f.looking }()
	case <-ctx.Done():
		return
	}
	if !f.isDue() {
		return
	}
	count := f.still.count()
	again, err := f.look(f.closing, 0)
	if err == nil && again {
		_, err = f.look(f.closing, 0)
	}
	if err != nil {
		f.fail(err)
	}
	f.mu.Lock()
	f.seen = count
	f.mu.Unlock()
}

// run follows until the context ends.
func (f *follower) run(ctx context.Context) {
	var once sync.Once
	started, tidied := time.Now(), time.Now()
	for failures := 0; ctx.Err() == nil; {
		f.mu.Lock()
		wait := 25
		if f.inDoubt {
			wait = 0
		}
		f.mu.Unlock()
		again, err := f.look(ctx, wait)
		if ctx.Err() != nil {
			break
		}
		failures++
		if err == nil {
			failures = 0
		} else {
			f.fail(err)
		}
		if time.Since(tidied) >= 10*time.Second {
			tidied = time.Now() // the system clock may be wrong for a moment, and must not make us forget
			f.copy.forget(min(time.Now().Unix(), started.Add(time.Since(started)).Unix()))
		}
		f.mu.Lock()
		anew, pause := f.anew, f.retryAfter
		f.mu.Unlock()
		if !again || anew > 1 {
			once.Do(func() { close(f.first) })
		}
		switch {
		case failures > 0:
			pause = max(pause, jittered(growing(failures), 0.5, 1))
		case !again || anew > 1:
			pause = max(pause, growing(max(0, anew-1)))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	once.Do(func() { close(f.first) })
}

func (f *follower) fail(err error) {
	f.mu.Lock()
	f.inVain, f.inDoubt = true, true
	f.mu.Unlock()
	f.failed(fmt.Errorf("signet: revocations: %w", err))
}

// look is one request. It returns whether everything has to be asked for. What was applied before an error stays.
func (f *follower) look(ctx context.Context, wait int) (again bool, err error) {
	now := time.Now().Unix()
	f.mu.Lock()
	wasSetBack := now < f.lookedAt-f.copy.skew
	f.lookedAt, f.retryAfter = now, 0
	f.mu.Unlock()
	if wasSetBack { // the clock was ahead: too much was forgotten (rule 9)
		f.copy.startAnew()
	}
	cursor := f.copy.cursor()
	query := url.Values{"after": {"0"}}
	limit := f.timeout
	if cursor != "" {
		query.Set("after", cursor)
		if wait > 0 {
			query.Set("wait", strconv.Itoa(wait))
			limit += time.Duration(wait) * time.Second
		}
	}
	got, err := f.ask(ctx, f.url+"?"+query.Encode(), limit)
	isGap := errors.Is(err, errGap)
	if err != nil && !isGap {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	isFirst := got.applied && cursor == "" && f.anew == 0
	if f.anew++; !isGap && (!got.whole || isFirst) {
		f.anew = 0
	}
	f.inVain, f.inDoubt = f.copy.isStale(time.Now().Unix()), false
	return isGap, nil
}

// ask has a time limit, which begins anew whenever the answer brings something.
func (f *follower) ask(ctx context.Context, address string, limit time.Duration) (_ brought, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(limit, cancel)
	defer timer.Stop()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("no end of the answer in time: %w", err)
		}
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return brought{}, err
	}
	reply, err := f.client.Do(request)
	if err != nil {
		return brought{}, err
	}
	defer reply.Body.Close()
	f.obey(reply)
	mediaType, _, _ := strings.Cut(reply.Header.Get("Content-Type"), ";")
	if reply.StatusCode != 200 || strings.ToLower(strings.TrimSpace(mediaType)) != "application/revocations-seq" {
		return brought{}, fmt.Errorf("not a stream of changes: status %d %.40s", reply.StatusCode, mediaType)
	}
	return f.copy.read(reply.Body, func() int64 { return time.Now().Unix() }, func() { timer.Reset(limit) })
}

// obey keeps the Retry-After of an answer: at most a minute, and up to a quarter more by chance.
func (f *follower) obey(reply *http.Response) {
	said := strings.TrimSpace(reply.Header.Get("Retry-After"))
	if said == "" || (reply.StatusCode != 200 && reply.StatusCode != 429 && reply.StatusCode != 503) {
		return
	}
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(said, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(said); err == nil {
		wait = time.Until(date)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.retryAfter = jittered(min(time.Minute, max(0, wait)), 1, 1.25)
}

func growing(times int) time.Duration {
	return min(2*time.Second, 250*time.Millisecond<<min(times, 10))
}

func jittered(pause time.Duration, from, to float64) time.Duration {
	var chance [1]byte
	_, _ = rand.Read(chance[:])
	return time.Duration(float64(pause) * (from + float64(chance[0])/255*(to-from)))
}

// ---- The verifier ----

// Options of a Verifier. Issuer and Audience are needed.
type Options struct {
	Issuer             string            // the URL of the token server, exactly as in iss; https, except for loopback
	Audience           []string          // identifiers of this service; a token needs one of them in aud
	WithoutRevocations bool              // do not follow the revocation feed
	RejectWhenStale    bool              // without a fresh copy of the feed answer 503; else tokens pass until they expire
	ClockSkew          time.Duration     // how much two clocks may differ, at most a minute; default: 5 seconds
	KeysMaxStale       time.Duration     // how long keys are used after their max-age; default: a day
	Timeout            time.Duration     // for a request to the issuer; default: 5 seconds
	InsecureIssuer     bool              // allow plain http: whoever can change that traffic can sign tokens
	Transport          http.RoundTripper // for a proxy, an authority or a client certificate of your own
	ErrorLog           *log.Logger       // failures to reach the issuer; default: the logger of the package log
	OnRefused          func(*Refused)    // called for every refusal, for logs and metrics
}

// Verifier verifies the access tokens of one issuer for one service. It is for any number of goroutines. Nothing is
// asked before the first token, or before Hydrate.
type Verifier struct {
	options Options
	skew    int64
	keys    *keyring
	feed    *follower // nil: not followed
	still   *standstill
	stood   atomic.Int64 // standstills after which the keys were looked at
	start   sync.Once
	closing context.Context
	close   context.CancelFunc
}

// New returns an error for options that are wrong.
func New(options Options) (*Verifier, error) {
	if err := checkIssuer(options.Issuer, options.InsecureIssuer); err != nil {
		return nil, err
	}
	for _, one := range options.Audience {
		if !identifier(one) {
			return nil, fmt.Errorf("signet: Audience: %q is no identifier", one)
		}
	}
	if len(options.Audience) == 0 {
		return nil, errors.New("signet: Audience: the identifier of this service is needed")
	}
	for option, otherwise := range map[*time.Duration]time.Duration{
		&options.ClockSkew: 5 * time.Second, &options.KeysMaxStale: 24 * time.Hour, &options.Timeout: 5 * time.Second,
	} {
		if *option == 0 {
			*option = otherwise
		}
		if *option < 0 {
			return nil, errors.New("signet: a duration below zero")
		}
	}
	if options.ClockSkew > time.Minute {
		return nil, errors.New("signet: ClockSkew: at most a minute")
	}
	if options.ErrorLog == nil {
		options.ErrorLog = log.Default()
	}
	v := &Verifier{options: options, skew: int64(options.ClockSkew / time.Second)}
	v.closing, v.close = context.WithCancel(context.Background())
	v.still = &standstill{}
	v.still.beatAt.Store(time.Now().Unix())
	client := &http.Client{Transport: options.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a redirect names a server that nobody configured: it is an error
	}}
	failed := func(err error) { options.ErrorLog.Print(err) }
	wellKnown := options.Issuer + "/.well-known/"
	v.keys = &keyring{url: wellKnown + "jwks.json", client: client, timeout: options.Timeout,
		maxStale: options.KeysMaxStale, failed: failed, closing: v.closing,
		request: make(chan struct{}, 1), revoked: map[string]bool{},
		coolDown: time.Second, notFound: map[string]time.Time{}}
	if options.WithoutRevocations {
		return v, nil
	}
	feed := &feedCopy{issuer: options.Issuer, skew: v.skew, keyOf: v.feedKey, revoke: v.keys.revoke,
		revoked: map[subject]entry{}, kept: map[subject]entry{}}
	v.feed = &follower{url: wellKnown + "revocations", client: client, timeout: options.Timeout, failed: failed,
		copy: feed, still: v.still, closing: v.closing, first: make(chan struct{}), looking: make(chan struct{}, 1)}
	return v, nil
}

func checkIssuer(issuer string, insecure bool) error {
	address, err := url.Parse(issuer)
	if err != nil {
		return fmt.Errorf("signet: Issuer: %w", err)
	}
	if address.Host == "" || strings.HasSuffix(issuer, "/") || strings.ContainsAny(issuer, "?#") {
		return fmt.Errorf("signet: Issuer: %q is not a URL without a slash at the end, a query and a fragment", issuer)
	}
	if address.User != nil {
		return errors.New("signet: Issuer: a URL with a password in it")
	}
	ip := net.ParseIP(address.Hostname())
	isLoopback := address.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
	if address.Scheme == "https" || (address.Scheme == "http" && (isLoopback || insecure)) {
		return nil
	}
	return fmt.Errorf("signet: Issuer: %q is not https; InsecureIssuer allows plain http", issuer)
}

// Verify returns the claims of a good token. It waits only when the issuer has to be asked first. The error is a
// *Refused.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	claims, err := v.judge(ctx, token)
	if err != nil {
		v.note(err)
		return nil, err
	}
	return claims, nil
}

func (v *Verifier) judge(ctx context.Context, token string) (*Claims, error) {
	v.begin()
	parsed, err := parse(token, "at+jwt", longestToken)
	if err != nil {
		return nil, err
	}
	if v.keys.get(parsed.kid) == nil {
		if err := v.keys.seek(ctx, parsed.kid, false); err != nil {
			return nil, err
		}
	}
	key, err := v.keyOf(parsed.kid)
	if err != nil {
		return nil, err
	}
	if err := parsed.verifiedBy(key); err != nil {
		return nil, err
	}
	claims, err := accept(parsed.payload, v.options.Issuer, v.options.Audience, v.skew, time.Now().Unix())
	if err != nil {
		return nil, err
	}
	if err := v.catchUp(ctx); err != nil { // only a good token waits
		return nil, err
	}
	if claims.Expires <= time.Now().Unix()-v.skew {
		return nil, expired() // while it waited
	}
	if _, err := v.keyOf(parsed.kid); err != nil {
		return nil, err // it was revoked meanwhile
	}
	return claims, v.notRevoked(claims)
}

func (v *Verifier) keyOf(kid string) (*rsa.PublicKey, error) {
	if key := v.keys.get(kid); key != nil {
		return key, nil
	}
	if v.keys.isRevoked(kid) {
		return nil, bad("revoked_key", "a revoked kid")
	}
	return nil, bad("kid_unknown", "an unknown kid")
}

func (v *Verifier) feedKey(kid string) (*rsa.PublicKey, error) {
	if v.keys.get(kid) == nil && !v.keys.isRevoked(kid) {
		if err := v.keys.seek(v.closing, kid, true); err != nil {
			return nil, err
		}
	}
	return v.keys.get(kid), nil
}

func (v *Verifier) notRevoked(claims *Claims) error {
	if v.feed == nil {
		return nil
	}
	if v.options.RejectWhenStale && v.feed.copy.isStale(time.Now().Unix()) {
		return &Refused{Code: "revocations_stale", Refusal: "feed_stale", reason: "no fresh copy of the feed"}
	}
	switch refusal := v.feed.copy.refusalOf(claims); refusal {
	case "":
		return nil
	case "stale_version":
		return &Refused{Code: "token_stale", Refusal: refusal, reason: "taken back"}
	default:
		return bad(refusal, "taken back")
	}
}

// catchUp returns an error when ctx ended before: a caller that hangs up must not be judged by what was known earlier.
func (v *Verifier) catchUp(ctx context.Context) error {
	if count := v.still.count(); count != v.stood.Load() {
		if v.keys.isOver() {
			if v.keys.refresh(ctx); ctx.Err() != nil {
				return notWaited(ctx)
			}
		}
		v.stood.Store(count)
	}
	if v.feed != nil && v.feed.isDue() {
		if v.feed.catchUp(ctx); ctx.Err() != nil {
			return notWaited(ctx)
		}
	}
	return nil
}

func notWaited(ctx context.Context) error {
	return &Refused{Code: "revocations_stale", Refusal: "feed_stale", reason: "nobody waits for the answer any more",
		cause: ctx.Err()}
}

func (v *Verifier) begin() {
	v.start.Do(func() {
		if v.feed != nil {
			go v.feed.run(v.closing)
		}
		go func() {
			for v.closing.Err() == nil {
				if v.keys.isDue() {
					go v.keys.refresh(v.closing)
				}
				select {
				case <-time.After(time.Second):
				case <-v.closing.Done():
				}
				v.still.beat()
			}
		}()
	})
}

func (v *Verifier) note(err error) {
	var refused *Refused
	if errors.As(err, &refused) && v.options.OnRefused != nil {
		v.options.OnRefused(refused)
	}
}

// Hydrate returns when keys and revocations are there: call it at the start of a server, so that its first token does
// not wait. After an error the verifier goes on trying all the same.
func (v *Verifier) Hydrate(ctx context.Context) error {
	v.begin()
	if !v.keys.areThere() {
		if err := v.keys.seek(ctx, "", true); err != nil {
			return err
		}
	}
	_ = v.catchUp(ctx)
	return ctx.Err()
}

// Close ends the goroutines and their requests.
func (v *Verifier) Close() { v.close() }

// ---- Guards ----

// Held is what a caller has to hold.
type Held struct {
	Roles []string // one of these
	Scope []string // all of these
}

// Demands are what a route asks for besides a good token: all of it.
type Demands struct {
	Roles      []string      // one of these, for people
	Scope      []string      // all of these, for services
	AnyOf      []Held        // one of these is enough
	MaxAuthAge time.Duration // the login was at most so long ago
}

type callerKey struct{}

// Caller returns the claims of who sent the request; nil on a public path.
func Caller(ctx context.Context) *Claims {
	claims, _ := ctx.Value(callerKey{}).(*Claims)
	return claims
}

// Guard protects every path of a handler, except those of public, which are exact and in their usual spelling: a mux
// may take %2F for a part of a name, and lead "/docs%2Findex" elsewhere than "/docs/index". Caller has the claims.
func (v *Verifier) Guard(next http.Handler, public ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawPath == "" && overlap(public, []string{r.URL.Path}) {
			next.ServeHTTP(w, r)
			return
		}
		token, err := tokenOf(r.Header.Values("Authorization"))
		var claims *Claims
		if err != nil {
			v.note(err)
		} else {
			claims, err = v.Verify(r.Context(), token)
		}
		if err != nil {
			answerTo(w, err)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, claims)))
	})
}

func answerTo(w http.ResponseWriter, err error) {
	var refused *Refused
	if errors.As(err, &refused) {
		refused.Answer(w)
		return
	}
	http.Error(w, "internal", http.StatusInternalServerError)
}

// Demand asks for more than a good token, behind Guard. Without a caller it answers 401. It panics at the start for
// demands that would have no effect.
func (v *Verifier) Demand(demands Demands, next http.HandlerFunc) http.HandlerFunc {
	if err := demands.check(); err != nil {
		panic(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if err := Authorize(Caller(r.Context()), demands); err != nil {
			v.note(err)
			answerTo(w, err)
			return
		}
		next(w, r)
	}
}

// Authorize checks the claims of a good token against demands. The error is a *Refused, or about the demands.
func Authorize(claims *Claims, demands Demands) error {
	if err := demands.check(); err != nil {
		return err
	}
	if claims == nil {
		return &Refused{Code: "missing_token", Refusal: "token_missing", reason: "no caller"}
	}
	most := int64(demands.MaxAuthAge / time.Second)
	if _, has := claims.All["auth_time"]; most > 0 && (!has || time.Now().Unix()-claims.AuthTime > most) {
		return &Refused{Code: "insufficient_user_authentication", Refusal: "auth_age", reason: "an old login",
			more: fmt.Sprintf(`, max_age="%d"`, most)}
	}
	if refused := lacking(claims, Held{demands.Roles, demands.Scope}); refused != nil {
		return refused
	}
	var scope string // a service can ask for a scope, and nobody for a role
	var first *Refused
	for _, held := range demands.AnyOf {
		refused := lacking(claims, held)
		if refused == nil {
			return nil
		}
		if first == nil {
			first = refused
		}
		if scope == "" && held.Scope != nil {
			scope = fmt.Sprintf(`, scope="%s"`, strings.Join(held.Scope, " "))
		}
	}
	if first != nil {
		return &Refused{Code: first.Code, Refusal: first.Refusal, reason: "nothing of AnyOf", more: scope}
	}
	return nil
}

func lacking(claims *Claims, held Held) *Refused {
	if held.Roles != nil && !overlap(held.Roles, claims.Roles) {
		return &Refused{Code: "insufficient_scope", Refusal: "role", reason: "none of the roles"}
	}
	if !within(held.Scope, claims.Scope) {
		return &Refused{Code: "insufficient_scope", Refusal: "scope", reason: "not all of the scopes",
			more: fmt.Sprintf(`, scope="%s"`, strings.Join(held.Scope, " "))}
	}
	return nil
}

func (d Demands) check() error {
	all := append([]Held{{d.Roles, d.Scope}}, d.AnyOf...)
	for i, held := range all {
		if i > 0 && held.Roles == nil && held.Scope == nil {
			return errors.New("signet: Demands: an alternative that demands nothing")
		}
		for _, names := range [][]string{held.Roles, held.Scope} {
			if names != nil && len(names) == 0 {
				return errors.New("signet: Demands: an empty list")
			}
			for _, name := range names {
				if name == "" || strings.IndexFunc(name, unicode.IsSpace) >= 0 {
					return fmt.Errorf("signet: Demands: %q is not a name without spaces", name)
				}
			}
		}
	}
	if d.MaxAuthAge < 0 || d.MaxAuthAge%time.Second != 0 {
		return errors.New("signet: Demands: MaxAuthAge is whole seconds")
	}
	if d.Roles == nil && d.Scope == nil && d.AnyOf == nil && d.MaxAuthAge == 0 {
		return errors.New("signet: Demands: they demand nothing")
	}
	return nil
}

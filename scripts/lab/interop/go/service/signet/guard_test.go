package signet

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestGuardPublicPaths(t *testing.T) {
	verifier, err := New(Options{Issuer: "https://issuer.example", Audience: []string{"api"}})
	if err != nil {
		t.Fatal(err)
	}
	defer verifier.Close()
	reached := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	guard := verifier.Guard(reached, "/docs/index")
	for path, status := range map[string]int{
		"/docs/index":         204,
		"/docs/index?a=%2F":   204,
		"/docs%2Findex":       401, // a mux that matches the spelling leads it elsewhere
		"/docs/%69ndex":       401,
		"/docs/index/":        401,
		"//docs/index":        401,
		"/docs/../docs/index": 401,
	} {
		reply := httptest.NewRecorder()
		guard.ServeHTTP(reply, httptest.NewRequest(http.MethodGet, path, nil))
		if reply.Code != status {
			t.Errorf("%s: %d, not %d", path, reply.Code, status)
		}
	}
}

// Before the first look at the feed, or after a standstill, a revoked token could be good by what was known earlier.
func TestWhoHangsUpIsNotJudged(t *testing.T) {
	verifier, err := New(Options{Issuer: "https://issuer.example", Audience: []string{"api"}})
	if err != nil {
		t.Fatal(err)
	}
	verifier.start.Do(func() {}) // nothing is asked: the first look never comes
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	verifier.keys.current = jwks{keys: map[string]*rsa.PublicKey{"k": &key.PublicKey}, goodUntil: now.Add(time.Hour),
		freshUntil: now.Unix() + 3600}
	part := base64.RawURLEncoding.EncodeToString
	signed := part([]byte(`{"alg":"RS256","typ":"at+jwt","kid":"k"}`)) + "." + part([]byte(fmt.Sprintf(
		`{"iss":"https://issuer.example","aud":"api","sub":"s","client_id":"c","jti":"j","iat":%d,"exp":%d}`,
		now.Unix(), now.Unix()+60)))
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(context.Background())
	hangUp()
	_, err = verifier.Verify(ctx, signed+"."+part(signature))
	var refused *Refused
	if !errors.As(err, &refused) || refused.Code != "revocations_stale" {
		t.Errorf("%v", err)
	}
	close(verifier.feed.first) // the look is over: nothing has to be asked
	verifier.feed.inVain = true
	if _, err = verifier.Verify(ctx, signed+"."+part(signature)); err != nil {
		t.Errorf("where nothing has to be asked, nobody waits: %v", err)
	}
}

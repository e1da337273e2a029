package signet

import (
	"net/http"
	"net/http/httptest"
	"testing"
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

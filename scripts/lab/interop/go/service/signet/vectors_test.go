package signet

import (
	"crypto/rsa"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"
	"testing/iotest"
)

type state struct {
	History       string
	Seq, Iat, Exp int64
	Cursor        *string
	Left          []string
	Revoked, Kept map[string]map[string]json.RawMessage
	Keys          []string
}

type vector struct {
	Name, Why, Issuer       string
	Skew, Now               int64
	Jwks                    json.RawMessage
	Before, After           *state
	Answer, Outcome, Reason string
}

func (s *state) held() held {
	cursor := ""
	if s.Cursor != nil {
		cursor = *s.Cursor
	}
	return held{s.History, s.Seq, s.Iat, s.Exp, cursor, append([]string{}, s.Left...)}
}

func entriesOf(t *testing.T, set map[string]map[string]json.RawMessage) map[subject]entry {
	found := map[subject]entry{}
	for kind, ids := range set {
		for id, raw := range ids {
			floor := struct {
				MinVersion *int64
				Seq, Until int64
			}{}
			one := entry{version: none}
			if raw[0] != '{' {
				if err := json.Unmarshal(raw, &one.until); err != nil {
					t.Fatal(err)
				}
			} else if err := json.Unmarshal(raw, &floor); err != nil {
				t.Fatal(err)
			} else {
				one.seq, one.until = floor.Seq, floor.Until
				if floor.MinVersion != nil {
					one.version = *floor.MinVersion
				}
			}
			found[subject{kind, id}] = one
		}
	}
	return found
}

// shown leaves out the number of a session or a token, which does not matter.
func shown(entries map[subject]entry) map[subject]entry {
	for key, one := range entries {
		if key.kind == "sessions" || key.kind == "tokens" {
			one.seq = 0
			entries[key] = one
		}
	}
	return entries
}

// TestVectors runs the test vectors of the feed: VECTORS is their folder.
func TestVectors(t *testing.T) {
	paths, _ := filepath.Glob(filepath.Join(os.Getenv("VECTORS"), "*.json"))
	count := 0
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var vectors []vector
		if err := json.Unmarshal(raw, &vectors); err != nil {
			t.Fatal(err)
		}
		for _, one := range vectors {
			count++
			t.Run(one.Name, func(t *testing.T) { one.run(t) })
		}
	}
	if count < 100 {
		t.Fatalf("%d vectors in %s", count, os.Getenv("VECTORS"))
	}
	t.Logf("%d vectors", count)
}

func (v vector) run(t *testing.T) {
	keys, err := keysOf(v.Jwks)
	if err != nil {
		t.Fatal(err)
	}
	revoked := map[string]bool{}
	c := &feedCopy{issuer: v.Issuer, skew: v.Skew, revoked: map[subject]entry{}, kept: map[subject]entry{}}
	c.keyOf = func(kid string) (*rsa.PublicKey, error) {
		if revoked[kid] {
			return nil, nil
		}
		return keys[kid], nil
	}
	c.revoke = func(kids []string) {
		for _, kid := range kids {
			revoked[kid] = true
		}
	}
	if v.Before != nil {
		c.held, c.revoked, c.kept = v.Before.held(), entriesOf(t, v.Before.Revoked), entriesOf(t, v.Before.Kept)
		c.revoke(v.Before.Keys)
	}
	body := iotest.HalfReader(strings.NewReader(v.Answer)) // in pieces of a size that fits to nothing
	got, err := c.read(body, func() int64 { return v.Now }, func() {})
	outcome, reason := "ignored", ""
	var refused *feedRefused
	switch {
	case errors.Is(err, errGap):
		outcome = "gap"
	case errors.As(err, &refused):
		outcome, reason = "refused", refused.why
	case err != nil:
		t.Fatal(err)
	case got.applied:
		outcome = "applied"
	}
	if outcome != v.Outcome || reason != v.Reason {
		t.Errorf("%s %s, not %s %s: %v (%s)", outcome, reason, v.Outcome, v.Reason, err, v.Why)
	}
	c.forget(v.Now)
	if v.After == nil {
		if c.held.history != "" {
			t.Errorf("there is a copy: %+v", c.held)
		}
		return
	}
	c.held.left = append([]string{}, c.held.left...)
	expect(t, "held", c.held, v.After.held())
	expect(t, "revoked", shown(c.revoked), entriesOf(t, v.After.Revoked))
	expect(t, "kept", shown(c.kept), entriesOf(t, v.After.Kept))
	kids := []string{}
	for kid := range revoked {
		kids = append(kids, kid)
	}
	sort.Strings(kids)
	sort.Strings(v.After.Keys)
	expect(t, "keys", kids, append([]string{}, v.After.Keys...))
}

func expect(t *testing.T, what string, actual, expected any) {
	if !reflect.DeepEqual(actual, expected) {
		t.Errorf("%s: %+v, not %+v", what, actual, expected)
	}
}

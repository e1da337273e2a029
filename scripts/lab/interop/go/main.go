// go-jose: apt install golang-go golang-gopkg-square-go-jose.v2-dev, or go get gopkg.in/square/go-jose.v2
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"gopkg.in/square/go-jose.v2"
	"gopkg.in/square/go-jose.v2/jwt"
)

var (
	issuer, audience = os.Getenv("ISSUER"), os.Getenv("AUDIENCE")
	client           = http.Client{Timeout: 5 * time.Second}
	keys             jose.JSONWebKeySet
	fetched          time.Time
	errToken         = errors.New("not an access token")
)

type accessToken struct {
	jwt.Claims
	ClientID string `json:"client_id"`
}

// Not for several goroutines at once: in a server, put a mutex around it.
func keyOf(kid string) (any, error) {
	age := time.Since(fetched)
	if age > 5*time.Minute || (age > 10*time.Second && len(keys.Key(kid)) == 0) {
		reply, err := client.Get(issuer + "/.well-known/jwks.json")
		if err != nil {
			return nil, err
		}
		defer reply.Body.Close()
		var fresh jose.JSONWebKeySet
		if err := json.NewDecoder(reply.Body).Decode(&fresh); err != nil || reply.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("no keys: %s, %v", reply.Status, err)
		}
		keys, fetched = fresh, time.Now()
	}
	if found := keys.Key(kid); len(found) == 1 {
		return found[0].Key, nil
	}
	return nil, errors.New("no such key")
}

func verify(token string) (*accessToken, error) {
	parsed, err := jwt.ParseSigned(token)
	if err != nil || len(parsed.Headers) != 1 {
		return nil, errToken
	}
	header := parsed.Headers[0]
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	if header.Algorithm != "RS256" || !strings.EqualFold(typ, "at+jwt") {
		return nil, errToken
	}
	key, err := keyOf(header.KeyID)
	if err != nil {
		return nil, err
	}
	var claims accessToken
	if err := parsed.Claims(key, &claims); err != nil {
		return nil, err
	}
	expected := jwt.Expected{Issuer: issuer, Audience: jwt.Audience{audience}, Time: time.Now()}
	if err := claims.ValidateWithLeeway(expected, 5*time.Second); err != nil {
		return nil, err
	}
	if claims.Subject == "" || claims.ClientID == "" || claims.ID == "" || claims.IssuedAt == nil ||
		claims.Expiry == nil || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > 15*time.Minute {
		return nil, errToken
	}
	return &claims, nil
}

func main() {
	if issuer == "" || audience == "" { // go-jose takes an empty one for: do not check
		panic("set ISSUER and AUDIENCE")
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); { // a token a line
		if claims, err := verify(lines.Text()); err != nil {
			fmt.Println("refused", err)
		} else {
			fmt.Println("accepted", claims.Subject)
		}
	}
}

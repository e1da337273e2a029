// Command judge judges the tokens of a JSON list on standard input. For the interop run.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"

	"service/signet"
)

type verdict struct {
	Code    string `json:"code"`
	Refusal string `json:"refusal"`
}

func main() {
	verifier, err := signet.New(signet.Options{
		Issuer: os.Getenv("ISSUER"), Audience: []string{os.Getenv("AUDIENCE")},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := verifier.Hydrate(ctx); err != nil {
		log.Fatal(err)
	}
	var tokens []string
	if err := json.NewDecoder(os.Stdin).Decode(&tokens); err != nil {
		log.Fatal(err)
	}
	verdicts := make([]verdict, len(tokens))
	for i, token := range tokens {
		claims, err := verifier.Verify(ctx, token)
		var refused *signet.Refused
		switch {
		case errors.As(err, &refused):
			verdicts[i] = verdict{refused.Code, refused.Refusal}
		case err != nil:
			log.Fatal(err)
		default:
			verdicts[i] = verdict{"good", claims.Subject}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		log.Fatal(err)
	}
}

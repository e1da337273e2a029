// net/http with the package signet: copy the folder signet/ into your module, and import it from there.
// apt install golang-go
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"time"

	"service/signet"
)

func main() {
	verifier, err := signet.New(signet.Options{
		Issuer:   os.Getenv("ISSUER"),
		Audience: []string{os.Getenv("AUDIENCE")},
		OnRefused: func(r *signet.Refused) { // the reason, which the answer does not tell
			log.Printf("refused: %s (%s)", r.Refusal, r.Code)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := verifier.Hydrate(context.Background()); err != nil {
		log.Print(err) // it goes on trying; until then tokens get 503
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) { reply(w, "ok") })
	routes.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		reply(w, map[string]string{"sub": signet.Caller(r.Context()).Subject})
	})
	empty := func(w http.ResponseWriter, r *http.Request) { reply(w, []string{}) }
	routes.HandleFunc("/invoices", verifier.Demand(signet.Demands{Scope: []string{"invoices:read"}}, empty)) // services
	routes.HandleFunc("/accounts", verifier.Demand(signet.Demands{Roles: []string{"admin"}}, empty))         // people
	routes.HandleFunc("/payment", verifier.Demand(signet.Demands{MaxAuthAge: 5 * time.Minute}, empty))       // new logins
	server := http.Server{
		Addr:              "127.0.0.1:" + os.Getenv("PORT"),
		Handler:           verifier.Guard(routes, "/health"), // every other path needs a token
		ReadHeaderTimeout: 5 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

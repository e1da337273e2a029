#!/bin/sh
# The jose command: apt install jose jq curl
: "${ISSUER:?}" "${AUDIENCE:?}"
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT

# Each step is checked on its own: the exit code of a pipeline is that of its last command, and jq exits 0 when there
# is no input.
verify() { # $1: the token; leaves its claims in $folder/claims
  printf %s "${1%%.*}" | jose b64 dec -i- >"$folder/header" || return 1
  kid=$(jq -er 'select(.alg == "RS256" and (.typ | ascii_downcase) == "at+jwt") | .kid' "$folder/header") || return 1
  curl -fsS --max-time 5 "$ISSUER/.well-known/jwks.json" >"$folder/jwks" || return 1
  jq -e --arg kid "$kid" '.keys | map(select(.kid == $kid)) | .[0] // error("no such key")' "$folder/jwks" \
    >"$folder/key" || return 1
  printf %s "$1" | jose jws ver -i- -k "$folder/key" -O "$folder/claims" || return 1
  good=$(jq -r --arg iss "$ISSUER" --arg aud "$AUDIENCE" '.iss == $iss and ([.aud] | flatten | index($aud) != null)
    and ([.sub, .jti, .client_id] | all(type == "string" and . != "")) and ([.iat, .exp] | all(type == "number"))
    and .iat <= now + 5 and .exp > now - 5 and .exp - .iat <= 900' "$folder/claims")
  [ "$good" = true ] || { echo "the claims are not good"; return 1; }
}

while read -r token; do # a token a line
  if why=$(verify "$token" 2>&1); then echo "accepted $(jq -r .sub "$folder/claims")"
  else echo "refused $(printf %s "$why" | head -n 1)"; fi
done

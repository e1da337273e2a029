# Flask with the folder signet/ beside it: apt install python3-flask gunicorn python3-jwt python3-cryptography,
# or pip install flask gunicorn "pyjwt[crypto]". Run: gunicorn --workers 2 --threads 4 flask_app:app
import os
import signet
from flask import Flask, jsonify, request

verifier = signet.Verifier(os.environ["ISSUER"], os.environ["AUDIENCE"])
verifier.start()  # else the first token of each process has to wait for keys and revocations
app = Flask(__name__)
app.wsgi_app = signet.WSGI(app.wsgi_app, verifier, public=["/health"])  # every other path needs a token
app.register_error_handler(signet.Refused, lambda refused: refused)  # otherwise Flask logs it as a fault

@app.get("/health")
def health():
    return jsonify(status="ok")

@app.get("/")
def me():
    return jsonify(sub=request.environ["signet.user"]["sub"])

@app.get("/invoices")
@signet.demand(scope=["invoices:read"])  # for services
def invoices():
    return jsonify([])

@app.get("/accounts")
@signet.demand(roles=["admin"])  # for people
def accounts():
    return jsonify([])

@app.get("/payment")
@signet.demand(max_auth_age=300)  # the login was in the last five minutes
def payment():
    return jsonify(status="paid")

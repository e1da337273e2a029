"""Verifies the access tokens of a Signet server, and refuses what was taken back within about a second.

Copy this folder into your service: Python 3.9 or newer, PyJWT and the standard library (apt install python3-jwt
python3-cryptography, or pip install "pyjwt[crypto]"). `Verifier` judges tokens; `ASGI` and `WSGI` guard an application;
`demand` and `authorize` ask for roles, scopes and a recent login. The checks, their order, the words for refusals and
the answers are those of the package signet-verifier for Node. The logger is called `signet`: a line per refusal (INFO)
and per failure to reach the issuer (WARNING).
"""

from .guard import ASGI, WSGI, authorize, demand
from .refused import Refused
from .verifier import Verifier

__all__ = ["ASGI", "WSGI", "Refused", "Verifier", "authorize", "demand"]

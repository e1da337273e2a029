# Starlette with the folder signet/ beside it: apt install python3-starlette uvicorn python3-jwt python3-cryptography,
# or pip install starlette uvicorn "pyjwt[crypto]". Run: uvicorn starlette_app:app
import os
import signet
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

verifier = signet.Verifier(os.environ["ISSUER"], os.environ["AUDIENCE"])
verifier.start()  # else the first token of each process has to wait for keys and revocations

def health(request):
    return JSONResponse({"status": "ok"})

async def me(request):
    return JSONResponse({"sub": request.user["sub"]})

@signet.demand(scope=["invoices:read"])  # for services
async def invoices(request):
    return JSONResponse([])

@signet.demand(roles=["admin"])  # for people
def accounts(request):
    return JSONResponse([])

@signet.demand(max_auth_age=300)  # the login was in the last five minutes
async def payment(request):
    return JSONResponse({"status": "paid"})

app = Starlette(
    routes=[Route("/health", health), Route("/", me), Route("/invoices", invoices), Route("/accounts", accounts),
            Route("/payment", payment)],
    middleware=[Middleware(signet.ASGI, verifier=verifier, public=["/health"])],  # every other path needs a token
)

"""`GET /wallet/balance` as FastAPI's users write it: a dependency that checks the token, a pool.

`python -m tests.bench.peers.fastapi_app` prints its address and runs until it is interrupted. It
reads the same token with PyJWT and asks PostgreSQL the same as ours does; whether the session
behind the token still lives, and whether one asks too often, it does not ask.
"""

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import jwt
import uvicorn  # type: ignore[import-not-found,unused-ignore]
from fastapi import (  # type: ignore[import-not-found,unused-ignore]
    Depends,
    FastAPI,
    HTTPException,
    Request,
)
from fastapi.security import (  # type: ignore[import-not-found,unused-ignore]
    HTTPAuthorizationCredentials,
    HTTPBearer,
)
from pydantic import BaseModel

from rest.auth.tokens import ALGORITHM, AUDIENCE
from storage.wallet import BALANCE

ISSUER = "talktime"
CURRENCY = "PTS"
REQUIRED = ["exp", "iat", "sub", "jti", "iss", "aud"]
BACKLOG = 1_024
_secret = os.environ["TALKTIME_JWT_SECRET"]
_bearer = HTTPBearer()


class BalanceView(BaseModel):
    success: bool = True
    userId: UUID
    balance: int
    available: int
    held: int
    bonus: int
    bonusExpiresAt: datetime | None
    currency: str
    updatedAt: datetime


async def caller(given: Annotated[HTTPAuthorizationCredentials, Depends(_bearer)]) -> UUID:
    try:
        claims = jwt.decode(
            given.credentials,
            _secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": REQUIRED},
        )
        return UUID(claims["sub"])
    except (jwt.InvalidTokenError, ValueError):
        raise HTTPException(401, "The access token is not valid.") from None


async def balance(request: Request, user_id: Annotated[UUID, Depends(caller)]) -> BalanceView:
    found = await request.app.state.pool.fetchrow(BALANCE, user_id, CURRENCY)
    if found is None:
        raise HTTPException(404, "You have no such wallet.")
    posted, held, available, at, bonus, expires_at, _ = found
    return BalanceView(
        userId=user_id,
        balance=posted,
        available=available,
        held=held,
        bonus=bonus,
        bonusExpiresAt=expires_at,
        currency=CURRENCY,
        updatedAt=at,
    )


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=10) as pool:
        app.state.pool = pool
        yield


def main() -> None:
    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/wallet/balance", balance)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    host, port = listener.getsockname()
    print(f"http://{host}:{port}", flush=True)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

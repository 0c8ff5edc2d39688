"""A route as data: one record serves the router, the role check and the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from uuid import UUID

from aiohttp import web

from rest.http.body import Body
from rest.http.errors import Fault, Problem
from rest.http.identity import caller
from signalling.events import Shape

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Guard = Callable[[Handler], Handler]

UUID_PATTERN = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_plain_parameter = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation and the paths it answers.

    `{name}` in a path is a UUID; `{name:pattern}` is what the pattern says. `returns` is the
    shape of the success answer (without its wrapper), `body` and `query` what the handler reads.
    `errors` lists codes of `rest.http.errors.STATUS` and the domain's own faults. With `roles`
    the caller must have one of them. `example` (an answer without `success`) and `body_example` are
    shapes, or JSON values in wire names, for where those made from the shapes would not do. A route
    with `upload` reads a form with a file in that field; one with `media` answers bytes of that
    type in place of `returns`.
    """

    method: str
    path: str
    handler: Handler
    _: KW_ONLY
    summary: str
    returns: type[Shape]
    body: type[Body] | None = None
    query: type[Body] | None = None
    tag: str = ""
    status: int = 200
    auth: bool = True
    roles: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    errors: tuple[str | Fault, ...] = ()
    example: Shape | Mapping[str, object] | None = None
    body_example: Body | Mapping[str, object] | None = None
    body_optional: bool = False
    upload: str = ""
    media: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path, *self.aliases)


def mount(app: web.Application, routes: Iterable[Route], guard: Guard) -> None:
    """Add all routes and aliases to the router, fixed paths before those with parameters.

    The routes of one path stand side by side, so that the router makes one resource of them.

    `guard` wraps the handlers of routes with `auth`: it sets the identity or raises.

    Raises:
        ValueError: two routes claim the same method and path, or a public route asks for roles.
    """
    rows = [(path, route) for route in routes for path in route.paths]
    taken: set[tuple[str, str]] = set()
    for path, route in sorted(rows, key=lambda row: ("{" in row[0], row[0])):
        claim = (route.method, re.sub(r"\{[^/]+\}", "{}", path))
        if claim in taken:
            raise ValueError(f"two routes for {route.method} {path}")
        if route.roles and not route.auth:
            raise ValueError(f"{route.method} {path} asks for roles but not for a caller")
        taken.add(claim)
        handler = guard(_with_roles(route)) if route.auth else route.handler
        pattern = _plain_parameter.sub(lambda found: f"{{{found[1]}:{UUID_PATTERN}}}", path)
        app.router.add_route(route.method, pattern, handler)


def _with_roles(route: Route) -> Handler:
    if not route.roles:
        return route.handler
    wanted = frozenset(route.roles)

    async def checked(request: web.Request) -> web.StreamResponse:
        if not caller(request).roles & wanted:
            raise Problem(403, "FORBIDDEN", "Your account may not do this.")
        return await route.handler(request)

    return checked


def path_id(request: web.Request, name: str = "id") -> UUID:
    """A UUID out of the path; the route's pattern has checked its form."""
    return UUID(request.match_info[name])

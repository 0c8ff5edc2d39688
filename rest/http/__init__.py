"""What every REST domain stands on: routes, bodies, replies, errors, callers, pages, OpenAPI."""

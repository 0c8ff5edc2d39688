"""Others' servers: relays of a call's messages, Kamailio, and a balance by FastAPI."""

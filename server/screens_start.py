"""The box that `talktime serve` prints when it is ready."""

import io

from rich.box import ROUNDED
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from server.config import Config
from server.demo_accounts import DEMO, DEMO_BALANCE_MINOR, DEMO_PASSWORD

WIDTH = 84


def shown_url(host: str, port: int) -> str:
    """Where this host's people find a server that listens there."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def start_box(config: Config, *, url: str, version: str, recovered: int) -> str:
    """What a person needs next: addresses, accounts, and how to place a call. `recovered` calls
    of an earlier life go on."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    rows.add_row("Phone", f"{url}/" + ("   (in two windows)" if config.is_dev else ""))
    rows.add_row("Console", f"{url}/console   {url}/graphiql")
    rows.add_row("REST", url)
    rows.add_row("Socket", url.replace("http", "ws", 1) + "/ws")
    rows.add_row("Try the API", f"{url}/api-docs")
    rows.add_row("Documents", f"{url}/openapi.json   {url}/asyncapi.json")
    rows.add_row("Health", f"{url}/health   {url}/ready   {url}/metrics")
    where = "given by DATABASE_URL"
    if not config.secret("database_url"):
        where = f"embedded PostgreSQL, data in {config.data_dir}"
    rows.add_row("Database", where)
    if recovered:
        rows.add_row("Recovered", f"{recovered} calls go on where they stood")
    if config.is_dev:
        for person in DEMO:
            what = f"{DEMO_BALANCE_MINOR} {config.currency} to spend at first"
            if person.price_minor is not None:
                what = f"{person.price_minor} {config.currency} a minute"
            elif person.admin:
                what = "admin"
            rows.add_row("Demo account", f"{person.email}   {what}")
        rows.add_row("Password", f"{DEMO_PASSWORD} (all demo accounts)")
        rows.add_row("Place a call", "on the phone, or make demo in a second terminal")
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, force_terminal=False)
    mode = "development: do not expose" if config.is_dev else "production"
    console.print(Panel(rows, title=f"Talktime {version} · {mode}", box=ROUNDED))
    return out.getvalue().rstrip()

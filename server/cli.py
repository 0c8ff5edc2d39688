"""`talktime`: one command for the server and its tools. Heavy modules load inside the commands."""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from server.demo_accounts import CALLER_MAIL, DEMO_PASSWORD, PROVIDER_MAIL
from server.load_command import load
from server.saying import fail, load_tool, plainly, settings

app = typer.Typer(
    name="talktime",
    help="The server for apps that sell conversations by the minute.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
ledger_app = typer.Typer(help="The books.", no_args_is_help=True)
user_app = typer.Typer(help="Accounts.", no_args_is_help=True)
config_app = typer.Typer(help="Settings.", no_args_is_help=True)
app.add_typer(ledger_app, name="ledger")
app.add_typer(user_app, name="user")
app.add_typer(config_app, name="config")

Dev = Annotated[bool, typer.Option("--dev", help="Development: demo accounts, sandbox payments.")]


@app.command()
def serve(
    dev: Dev = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Instead of TALKTIME_PORT.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes behind the port.")] = 1,
    own_ports: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, help="Of each worker alone, for this host: the first."),
    ] = None,
) -> None:
    """Run the server until Ctrl-C."""
    from server import logs
    from server.run import run

    config = settings(dev=dev)
    if port is not None:
        config = config.model_copy(update={"port": port})
    if own_ports is not None:
        config = config.model_copy(update={"own_port": own_ports})
    logs.configure(level=config.log_level, form=config.log_form)
    with plainly():
        if workers > 1:
            from server.workers import run_workers

            run_workers(config, workers)
        else:
            run(config)


@app.command()
def migrate() -> None:
    """Bring the database up to date."""
    from server.run import database
    from storage.migrate import migrate as bring_up_to_date

    with plainly(), database(load_tool(makes=True), exclusive=False) as dsn:
        applied = asyncio.run(bring_up_to_date(dsn))
    for name in applied:
        print(f"applied {name}")
    if not applied:
        print("nothing to do: the database is up to date")


@ledger_app.command("verify")
def ledger_verify() -> None:
    """Check every invariant of the books; exit 1 if one does not hold. Safe beside the server."""
    from server.run import database
    from server.verifying import verify_books

    with plainly(), database(load_tool(), exclusive=False, quiet=True) as dsn:
        ok = asyncio.run(verify_books(dsn))
    if not ok:
        raise typer.Exit(1)


@user_app.command("create")
def user_create(
    email: str,
    name: Annotated[str, typer.Option(help="Shown to others.")],
    price: Annotated[int | None, typer.Option(help="Makes a provider, at this a minute.")] = None,
    grant: Annotated[int, typer.Option(help="Put into the wallet, from the promo account.")] = 0,
    admin: Annotated[bool, typer.Option("--admin", help="May refund, pay out, see jobs.")] = False,
) -> None:
    """Make an account; the password is asked for, or read from standard input."""
    from server.run import database
    from server.verifying import create_person

    password = typer.prompt("Password", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    config = load_tool()
    with plainly(), database(config, exclusive=False, quiet=True) as dsn:
        try:
            user_id = asyncio.run(
                create_person(config, dsn, name, email, password.strip(), price, grant, admin=admin)
            )
        except ValueError as error:
            fail(str(error))
    print(user_id)


Account = Annotated[
    str, typer.Argument(metavar="EMAIL", help="Or a phone number, as +4915112345678.")
]


@user_app.command("suspend")
def user_suspend(account: Account) -> None:
    """Close an account: it is logged out everywhere, and can neither log in nor be called."""
    from server.run import database
    from server.verifying import suspend_person

    with plainly(), database(load_tool(), exclusive=False, quiet=True) as dsn:
        try:
            ended = asyncio.run(suspend_person(dsn, account))
        except ValueError as error:
            fail(str(error))
    print(f"suspended; sessions ended: {ended}")


@user_app.command("restore")
def user_restore(account: Account) -> None:
    """Open a suspended account again."""
    from server.run import database
    from server.verifying import restore_person

    with plainly(), database(load_tool(), exclusive=False, quiet=True) as dsn:
        try:
            asyncio.run(restore_person(dsn, account))
        except ValueError as error:
            fail(str(error))
    print("restored")


@config_app.command("check")
def config_check(dev: Dev = False) -> None:
    """Read the settings and report every fault; exit 1 if there is one."""
    config = settings(dev=dev)
    print(f"the settings hold ({config.mode})")


Url = Annotated[str, typer.Option(help="The server to talk to.")]
Plain = Annotated[bool, typer.Option("--plain", help="Lines instead of a live view.")]
Record = Annotated[Path | None, typer.Option(help="Keep what is heard, as a WAV file.")]
Audio = Annotated[str, typer.Option(help="tone, tone:HZ, silence, or a file.")]
Password = Annotated[str, typer.Option(help="Of the account that calls or answers.")]
HERE = "http://127.0.0.1:8080"


@app.command()
def demo(
    url: Url = HERE,
    seconds: Annotated[int, typer.Option(min=1, help="Of talk, then hang up.")] = 70,
    price: Annotated[int | None, typer.Option(help="A minute; makes new accounts.")] = None,
    balance: Annotated[int | None, typer.Option(help="To spend; makes new accounts.")] = None,
    tariff: Annotated[str, typer.Option(help="minute or second, with --price.")] = "minute",
    record: Record = None,
    plain: Plain = False,
) -> None:
    """Place a whole call between two phones with real media, and show it."""
    from server.demo import demo as place

    finish(
        place(
            url,
            seconds=seconds,
            plain=plain,
            price=price,
            balance=balance,
            tariff=tariff,
            record=record,
        )
    )


@app.command()
def call(
    user: Annotated[str, typer.Argument(help="A provider's name or mail address, or a user id.")],
    url: Url = HERE,
    email: Annotated[str, typer.Option("--as", help="Who calls.")] = CALLER_MAIL,
    password: Password = DEMO_PASSWORD,
    audio: Audio = "tone",
    seconds: Annotated[int | None, typer.Option(help="Hang up after so much talk.")] = None,
    record: Record = None,
    plain: Plain = False,
) -> None:
    """Ring somebody and talk; keys hang up, mute, hold and chat."""
    from server.calling import call_user

    finish(
        call_user(
            url,
            user,
            email=email,
            password=password,
            audio=audio,
            record=record,
            seconds=seconds,
            plain=plain,
        )
    )


@app.command()
def answer(
    url: Url = HERE,
    email: Annotated[str, typer.Option("--as", help="Who answers.")] = PROVIDER_MAIL,
    password: Password = DEMO_PASSWORD,
    audio: Audio = "tone",
    auto: Annotated[bool, typer.Option("--auto", help="Answer without asking.")] = False,
    record: Record = None,
    plain: Plain = False,
) -> None:
    """Wait for a call; keys accept, reject, hang up, mute, hold and chat."""
    from server.calling import answer as wait_and_answer

    finish(
        wait_and_answer(
            url,
            email=email,
            password=password,
            audio=audio,
            record=record,
            auto=auto,
            plain=plain,
        )
    )


app.command()(load)


def finish(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command to its end; Ctrl-C ends it quietly."""
    try:
        code = asyncio.run(work)
    except KeyboardInterrupt:
        code = 130
    raise typer.Exit(code)


def main() -> None:
    app()

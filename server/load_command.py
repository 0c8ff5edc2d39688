"""The options of `talktime load`. Heavy modules load inside, as in `server/cli.py`."""

from pathlib import Path
from typing import Annotated

import typer

from server.saying import fail, load_tool, plainly

HERE = "http://127.0.0.1:8080"
USERS = 40
CALLS = 60


def load(
    url: Annotated[str, typer.Option(help="The server to load.")] = HERE,
    users: Annotated[
        int | None, typer.Option("-u", "--users", min=2, help="Half of them call the others.")
    ] = None,
    rate: Annotated[
        float, typer.Option("-r", "--rate", min=0, help="Calls a second; 0: as they end.")
    ] = 0,
    duration: Annotated[
        str | None, typer.Option("-t", "--duration", help="As 90s or 10m; of a ladder: each rate.")
    ] = None,
    ramp: Annotated[str, typer.Option(help="The rate grows from 0 for so long.")] = "0",
    ladder: Annotated[
        str | None, typer.Option(help="As 10:500: search the highest rate without a failure.")
    ] = None,
    scenario: Annotated[
        str,
        typer.Option(
            "--scenario",
            "--scenarios",
            help="Weights, as answered=8,rejected=1; 'all' is one each.",
        ),
    ] = "answered",
    think: Annotated[str, typer.Option(help="Before people act, as 1s or 0.5s-3s.")] = "0",
    talk: Annotated[float, typer.Option(min=0, max=3_600, help="Seconds after unit 1.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the dice: the same calls in the same order.")] = 1,
    resend: Annotated[
        float, typer.Option(min=0, max=1, help="Share of commands sent twice, to count once.")
    ] = 0.02,
    mode: Annotated[
        str, typer.Option(help="signalling, or media: with real sound.")
    ] = "signalling",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Generator processes.")] = 1,
    threshold: Annotated[
        list[str] | None, typer.Option(help="As 'ring.p99<50ms'; exit 99 if one does not hold.")
    ] = None,
    server_pid: Annotated[
        list[int] | None, typer.Option(help="Of a server here, to say which side was the limit.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write …_stats.csv and …_stats_history.csv.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live view.")] = False,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="The server may be on another machine.")
    ] = False,
    crew: Annotated[
        Path | None, typer.Option(help="Users of this file instead of the database's.")
    ] = None,
    make_users: Annotated[
        int | None, typer.Option(min=2, help="Make so many users, write them to --crew, end.")
    ] = None,
    pairs: Annotated[int | None, typer.Option(min=1, help="Half of --users.")] = None,
    calls: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    reject: Annotated[float, typer.Option(min=0, max=1, help="Share that is rejected.")] = 0,
    cancel: Annotated[float, typer.Option(min=0, max=1, help="Share that is cancelled.")] = 0,
) -> None:
    """Many users at once, who check all they are told; shows what each phase took.

    Without --crew it needs the database of a development server: its callers are given money.
    """
    import asyncio

    from rich.console import Console

    from server.loading import Load, keep_crew, make_pairs, poor_of, read_crew
    from server.loading import load as run_it
    from server.run import database
    from signalling.client.load import plan as plans
    from signalling.client.load.device import Pair
    from signalling.client.load.run import check_target
    from signalling.client.load.workers import WorkerFailed, calm_collector, new_loop

    if reject + cancel > 1:
        fail("--reject and --cancel are shares of all calls: together at most 1.")
    try:
        check_target(url, allow_remote=allow_remote)
        weights = plans.parse_scenarios(
            ",".join(plans.SCENARIOS) if scenario == "all" else scenario
        )
        if reject or cancel:
            shares = {"answered": 1 - reject - cancel, "rejected": reject, "cancelled": cancel}
            weights = {name: share for name, share in shares.items() if share}
        plan = plans.Plan(
            scenarios=weights,
            rate=rate,
            calls=calls or (0 if duration or ladder else CALLS),
            duration_s=plans.parse_seconds(duration) if duration else 0,
            ramp_s=plans.parse_seconds(ramp),
            think_s=plans.parse_span(think),
            talk_s=talk,
            seed=seed,
            mode=plans.parse_mode(mode),
            resend=resend,
            ladder=plans.parse_ladder(ladder) if ladder else None,
        )
        plans.check_mode(plan.mode, weights)
    except ValueError as error:
        fail(str(error))
    couples = (make_users or users or 2 * (pairs or USERS // 2)) // 2
    wanted = Load(
        url=url,
        plan=plan,
        thresholds=tuple(threshold or ()),
        workers=workers,
        server_pids=tuple(server_pid or ()),
        json=json,
        csv=csv,
        html=html,
        plain=plain,
    )

    async def served(made: list[Pair]) -> int:
        calm_collector()
        try:
            return await run_it(wanted, made, Console())
        except ConnectionError as error:
            fail(f"No server answers at {url}: {error}")

    async def with_crew(path: Path) -> int:
        return await served(read_crew(path, couples if users or pairs else 0))

    async def with_database(dsn: str) -> int:
        made = await make_pairs(config, dsn, couples, poor_of(couples, weights))
        if make_users is None:
            return await served(made)
        assert crew is not None
        await keep_crew(crew, made)
        print(f"{2 * couples} users are in {crew}")
        return 0

    if make_users is not None and crew is None:
        fail("--make-users writes them to a file: name it with --crew.")
    code = 130
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            if crew is not None and make_users is None:
                code = runner.run(with_crew(crew))
            else:
                config = load_tool()
                if not config.is_dev:
                    fail("load gives its callers money, so it runs against a development server.")
                with plainly(), database(config, exclusive=False, quiet=True) as dsn:
                    code = runner.run(with_database(dsn))
    except KeyboardInterrupt:
        pass
    except (ValueError, WorkerFailed) as error:
        fail(str(error))
    except OSError as error:
        fail(str(error))
    raise typer.Exit(code)

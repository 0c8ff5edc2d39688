"""A node in a network namespace of its own, on a wire that loses packets. Needs root and nft."""

import asyncio
import os
import shutil
import subprocess

from tests.faults.cluster import Cluster

OUTSIDE, INSIDE = "10.213.77.1", "10.213.77.2"
SETTINGS = {"TALKTIME_HOST": INSIDE}


def absent() -> str:
    """Why it cannot be done here; empty if it can. Tries it, as only the kernel knows."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("ip", "nft"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    net = Net("probe")
    try:
        net.make()
        net.lose(50)
    except (subprocess.CalledProcessError, OSError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return f"the kernel refuses: {said.strip().splitlines()[0][:60]}"
    finally:
        net.remove()
    return ""


class Net:
    """A namespace and the pair of wires that leads into it."""

    def __init__(self, label: str) -> None:
        self.name = f"tt{label}{os.getpid()}"
        self._outer, self._inner = f"tto{os.getpid()}", f"tti{os.getpid()}"
        self._table = f"talktime_{os.getpid()}"

    def make(self) -> None:
        name, outer, inner = self.name, self._outer, self._inner
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
        _run("ip", "link", "set", inner, "netns", name)
        _run("ip", "addr", "add", f"{OUTSIDE}/30", "dev", outer)
        _run("ip", "link", "set", outer, "up")
        within = ("ip", "-n", name)
        _run(*within, "addr", "add", f"{INSIDE}/30", "dev", inner)
        _run(*within, "link", "set", inner, "up")
        _run(*within, "link", "set", "lo", "up")

    def lose(self, percent: int) -> None:
        """Drop packets at random, both ways; 100: all of them, and nobody is told."""
        self.heal()
        table = self._table
        _run("nft", "add", "table", "ip", table)
        for hook, field in (("input", "iifname"), ("output", "oifname")):
            spec = f"{{ type filter hook {hook} priority 0 ; policy accept ; }}"
            _run("nft", f"add chain ip {table} {hook} {spec}")
            chance = "" if percent >= 100 else f"numgen random mod 100 < {percent} "
            _run("nft", f'add rule ip {table} {hook} {field} "{self._outer}" {chance}drop')

    def heal(self) -> None:
        _run("nft", "delete", "table", "ip", self._table, check=False)

    def remove(self) -> None:
        self.heal()
        _run("ip", "link", "delete", self._outer, check=False)
        _run("ip", "netns", "delete", self.name, check=False)


_nets: dict[int, Net] = {}


async def prepare(cluster: Cluster) -> None:
    """Put the first node into a namespace."""
    net = _nets[id(cluster)] = Net("n")
    await asyncio.to_thread(net.make)
    cluster.nodes[0].prefix = ("ip", "netns", "exec", net.name)


def of(cluster: Cluster) -> Net:
    return _nets[id(cluster)]


async def clean(cluster: Cluster) -> None:
    net = _nets.pop(id(cluster), None)
    if net is not None:
        await asyncio.to_thread(net.remove)


def _run(*command: str, check: bool = True) -> None:
    subprocess.run(command, check=check, capture_output=True, text=True, timeout=10)

"""The proof: who reaches whom, and which address the asked one sees. A check is a value; asking is the only thing done here."""

from __future__ import annotations

import json
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from netrt.demo.host import HOST4, HOST6, NETRT, OUTSIDE4, OUTSIDE6, TIER, Failed
from netrt.demo.tier import OUT_OF_REACH


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the containers are: what `netrt inspect` says."""

    db: str
    app_back: str
    app_front: str
    proxy4: str
    proxy6: str
    gateway4: str
    gateway6: str


@dataclass(frozen=True, slots=True)
class Check:
    """`who` (host, outside, or a container) asks `address`, which is `whom` in words. `seen_as` is the address that the asked one
    must see, or empty if it must be out of reach; `chain` are the tiers that must answer, the asked one first."""

    who: str
    whom: str
    address: str
    seen_as: str = ""
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check: the address that was seen and the tiers that answered, both empty if nobody did."""

    check: Check
    seen_as: str
    chain: str

    @property
    def held(self) -> bool:
        return (self.seen_as, self.chain) == (self.check.seen_as, self.check.chain)


def checks(at: Addresses) -> dict[str, list[Check]]:
    """What must hold while the application runs, by what is promised."""
    through, published, published6 = "proxy, app, db", f"{HOST4}:8080", f"[{HOST6}]:8080"
    return {
        "One network holds together": [
            Check("proxy", "app", at.app_front, at.proxy4, "app, db"),
            Check("app", "db", at.db, at.app_back, "db"),
        ],
        "Other networks are out of reach": [
            Check("proxy", "db", at.db),
            Check("db", "app's other address", at.app_front),
        ],
        "Out through NAT, unless internal": [
            Check("app", "outside", OUTSIDE4, HOST4, "outside"),
            Check("proxy", "outside, IPv6", f"[{OUTSIDE6}]", HOST6, "outside"),
            Check("db", "outside, from internal", OUTSIDE4),
        ],
        "The published port answers": [
            Check("outside", "published port", published, OUTSIDE4, through),
            Check("outside", "published port, IPv6", published6, OUTSIDE6, through),
            Check("host", "published port", published, HOST4, through),
            Check("host", "published, loopback", "127.0.0.1:8080", at.gateway4, through),
            Check("app", "published, same network", published, at.gateway4, through),
            Check("proxy", "its own published port", published, at.gateway4, through),
            Check("proxy", "its own, IPv6", published6, at.gateway6, through),
        ],
        "Nothing else is reached from outside": [
            Check("outside", "proxy, by a route", at.proxy4),
            Check("outside", "proxy, by a route, IPv6", f"[{at.proxy6}]"),
            Check("outside", "app, by a route", at.app_front),
            Check("outside", "a port not published", f"{HOST4}:80"),
        ],
    }


def ask(check: Check, *, daemon: bool = True) -> Outcome:
    """Ask, from where the check says: in a container by `netrt exec`, or by `ip netns exec` where no daemon may be needed.

    Raises Failed if asking itself did not work: that nobody answered proves nothing then.
    """
    inside = (NETRT, "exec", check.who) if daemon else ("ip", "netns", "exec", f"netrt-{check.who}")
    places: dict[str, tuple[str, ...]] = {"host": (), "outside": ("ip", "netns", "exec", "outside")}
    command = [*places.get(check.who, inside), *TIER, "ask", f"http://{check.address}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, OUT_OF_REACH):
        raise Failed(f"{shlex.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}".strip())
    hops = json.loads(done.stdout) if done.returncode == 0 else []
    return Outcome(check, hops[0]["client"] if hops else "", ", ".join(h["tier"] for h in hops))


def ask_all(wanted: list[Check], *, daemon: bool = True) -> list[Outcome]:
    """Ask all, several at a time: most of it is waiting for what never answers."""
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(lambda check: ask(check, daemon=daemon), wanted))

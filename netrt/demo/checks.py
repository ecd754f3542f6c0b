"""The proof: who reaches whom, and which address the asked one sees. A check is a value; asking is the only thing done here."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from netrt.demo.host import HOST4, HOST6, NETRT, OUTSIDE4, OUTSIDE6, TIER


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the containers are: what `netrt inspect` says."""

    db: str
    app_back: str
    app_front: str
    proxy4: str
    proxy6: str
    gateway4: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`who` (host, outside, or a container) asks `url`, which is `whom` in words. `seen_as` is the address that the asked one
    must see, or empty if it must be out of reach; `chain` are the tiers that must answer."""

    who: str
    whom: str
    url: str
    seen_as: str = ""
    chain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a check: the address that was seen and the tiers that answered, both empty if nobody did."""

    check: Check
    seen_as: str
    chain: str

    @property
    def held(self) -> bool:
        return (self.seen_as, self.chain) == (self.check.seen_as, self.check.chain)


def checks(at: Addresses) -> list[Check]:
    """What must hold while the application runs."""
    through = "proxy, app, db"
    published = f"http://{HOST4}:8080"
    return [
        Check(who="proxy", whom="app, same network", url=f"http://{at.app_front}", seen_as=at.proxy4, chain="app, db"),
        Check(who="app", whom="db, same network", url=f"http://{at.db}", seen_as=at.app_back, chain="db"),
        Check(who="proxy", whom="db, other network", url=f"http://{at.db}"),
        Check(who="db", whom="outside, from internal", url=f"http://{OUTSIDE4}"),
        Check(who="app", whom="outside, through NAT", url=f"http://{OUTSIDE4}", seen_as=HOST4, chain="outside"),
        Check(who="proxy", whom="outside, NAT, IPv6", url=f"http://[{OUTSIDE6}]", seen_as=HOST6, chain="outside"),
        Check(who="outside", whom="published port", url=published, seen_as=OUTSIDE4, chain=through),
        Check(who="outside", whom="published, IPv6", url=f"http://[{HOST6}]:8080", seen_as=OUTSIDE6, chain=through),
        Check(who="host", whom="published, own address", url=published, seen_as=HOST4, chain=through),
        Check(who="host", whom="published, loopback", url="http://127.0.0.1:8080", seen_as=at.gateway4, chain=through),
        Check(who="app", whom="published, via the host", url=published, seen_as=at.gateway4, chain=through),
        Check(who="proxy", whom="its own published port", url=published, seen_as=at.gateway4, chain=through),
        Check(who="outside", whom="proxy, routed directly", url=f"http://{at.proxy4}"),
        Check(who="outside", whom="proxy, directly, IPv6", url=f"http://[{at.proxy6}]"),
        Check(who="outside", whom="app, routed directly", url=f"http://{at.app_front}"),
        Check(who="outside", whom="a port not published", url=f"http://{HOST4}:80"),
    ]


def ask(check: Check) -> Outcome:
    """Ask, from where the check says."""
    where: dict[str, tuple[str, ...]] = {"host": (), "outside": ("ip", "netns", "exec", "outside")}
    command = [*where.get(check.who, (NETRT, "exec", check.who)), *TIER, "ask", check.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    hops = json.loads(done.stdout) if done.returncode == 0 else []
    return Outcome(check=check, seen_as=hops[0]["client"] if hops else "", chain=", ".join(h["tier"] for h in hops))


def ask_all(wanted: list[Check]) -> list[Outcome]:
    """Ask all, several at a time: most of it is waiting for what never answers."""
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(ask, wanted))

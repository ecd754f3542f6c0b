"""host-local's `resolvConf`: a file in the form of resolv.conf, as the `dns` of a result."""

from __future__ import annotations

from netrt.cni.result import Dns


def resolver_of(text: str) -> Dns:
    """What its lines say; others are let be."""
    nameservers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    domain = None
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["domain", name, *_]:
                domain = name
            case ["search", *names]:
                search += names
            case ["options", *words]:
                options += words
    return Dns(
        nameservers=tuple(nameservers) or None,
        domain=domain,
        search=tuple(search) or None,
        options=tuple(options) or None,
    )

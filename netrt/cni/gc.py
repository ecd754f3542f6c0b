"""GC: which attachments a runtime still knows."""

from __future__ import annotations

import msgspec

from netrt.cni.call import Config
from netrt.cni.refusal import CONFIGURATION, Refusal


class ValidAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """One of the list."""

    container_id: str = msgspec.field(default="", name="containerID")
    ifname: str = ""


Attachments = tuple[ValidAttachment, ...] | None | msgspec.UnsetType


class GcConfig(Config, frozen=True, kw_only=True, rename="camel"):
    """The list has two spellings; libcni writes both, and null for an empty one."""

    valid_attachments: Attachments = msgspec.field(default=msgspec.UNSET, name="cni.dev/valid-attachments")
    attachments: Attachments = msgspec.field(default=msgspec.UNSET, name="cni.dev/attachments")


def valid(config: GcConfig) -> frozenset[tuple[str, str]]:
    """Container ids and interface names. Without a list nothing may be collected: an empty one must be there. Raises Refusal."""
    lists = [said for said in (config.valid_attachments, config.attachments) if said is not msgspec.UNSET]
    if not lists:
        raise Refusal(
            CONFIGURATION, "field cni.dev/valid-attachments is missing", hint="an empty list frees everything"
        )
    row = [entry for said in lists for entry in said or ()]
    for entry in row:
        if not entry.container_id or not entry.ifname:
            raise Refusal(CONFIGURATION, "field cni.dev/valid-attachments: an entry lacks containerID or ifname")
    return frozenset((entry.container_id, entry.ifname) for entry in row)

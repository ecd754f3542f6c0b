"""Chains of others that drop what no rule of theirs accepts, on the way that packets of containers go.

An accept of ours is no help against them: a packet goes through the chains of all tables, and each may drop it."""

from __future__ import annotations

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_GETCHAIN, nft_chain_msg

from netrt.kernel.netlink import Netlink
from netrt.kernel.nfnetlink import TABLE, request, told
from netrt.kernel.wire import attributes, numbers, string

_CHAIN = numbers(nft_chain_msg)
_FAMILIES = {1: "inet", 2: "ip", 7: "bridge", 10: "ip6"}
_HOOK_NUMBER = 1  # NFTA_HOOK_HOOKNUM
_FORWARD, _DROP = 2, 0  # NF_INET_FORWARD and NF_BR_FORWARD, NF_DROP


def dropping(netlink: Netlink) -> tuple[tuple[str, str], ...]:
    """The tables ("ip filter") and names of such chains. Raises OSError."""
    found = []
    for message in netlink.dump(request(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETCHAIN, 0)):
        chain, family = told(message), _FAMILIES.get(message.body[0])
        hook = attributes(chain.get(_CHAIN["NFTA_CHAIN_HOOK"], b"")).get(_HOOK_NUMBER)
        if hook is None or family is None or chain[_CHAIN["NFTA_CHAIN_TABLE"]] == TABLE:
            continue
        policy = int.from_bytes(chain.get(_CHAIN["NFTA_CHAIN_POLICY"], b"\1"), "big")
        if int.from_bytes(hook, "big") == _FORWARD and policy == _DROP:
            table = string(chain[_CHAIN["NFTA_CHAIN_TABLE"]])
            found.append((f"{family} {table}", string(chain[_CHAIN["NFTA_CHAIN_NAME"]])))
    return tuple(sorted(found))

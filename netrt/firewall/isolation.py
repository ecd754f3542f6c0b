"""Who reaches whom: between networks, with the outside, and with the host itself.

Rule 1: whatever has none of our interfaces on either side passes untouched; every policy is accept, every drop is about ours.
Rule 2: a drop comes before the accept that it limits, and what nothing accepts into a bridge is dropped.

A bridge that somebody else made has members that are not ours to judge: only what is from or to a container of ours there, by
bridge and address (`guests`), comes to the chains of guests.

With bridge netfilter, packets that stay inside a bridge come through these chains too, with the bridge as both interfaces.
"""

from __future__ import annotations

from netrt.firewall.nat import FROM_LOOPBACK6

CHAINS = f"""\
	chain prerouting_raw {{
		type filter hook prerouting priority raw; policy accept;
		iif lo accept
		# bridges have route_localnet on; no loopback address may come in from anywhere
		ip daddr 127.0.0.0/8 drop
		ip saddr 127.0.0.0/8 drop
		ip6 daddr ::1 drop
		ip6 saddr ::1 drop
		ip6 saddr {FROM_LOOPBACK6} drop
		ip6 daddr {FROM_LOOPBACK6} iifname != @bridges drop
		# frames to 01:80:c2:00:00:0e leave a bridge at its port and would be seen as from that
		iifname @links drop
	}}

	chain forward {{
		type filter hook forward priority filter; policy accept;
		tcp flags syn jump forward_syn
		ct state established accept
		iifname @fenced oifname @fenced jump forward_fenced
		iifname @bridges goto forward_from_bridge
		oifname @bridges goto forward_to_bridge
		iifname . ip saddr @guests4 goto forward_from_guest
		iifname . ip6 saddr @guests6 goto forward_from_guest
		oifname . ip daddr @guests4 goto forward_to_guest
		oifname . ip6 daddr @guests6 goto forward_to_guest
	}}

	# both sides are told no more than what goes through here, either way, whatever they think of their own links
	chain forward_syn {{
		iifname @bridges tcp option maxseg size set rt mtu
		oifname @bridges tcp option maxseg size set rt mtu
	}}

	# bridges that are not to reach each other, also such as others made
	chain forward_fenced {{
		iifname . oifname @icc return
		ct status dnat return
		goto drop_apart
	}}

	chain forward_from_bridge {{
		iifname . oifname @icc accept
		meta nfproto ipv4 iifname @isolated4 goto drop_internal
		meta nfproto ipv6 iifname @isolated6 goto drop_internal
		meta nfproto ipv4 oifname @isolated4 goto drop_apart
		meta nfproto ipv6 oifname @isolated6 goto drop_apart
		ct status dnat accept
		iifname @open oifname @open accept
		oifname @bridges goto drop_apart
		oifname . ip daddr @guests4 goto drop_apart
		oifname . ip6 daddr @guests6 goto drop_apart
		# these are not translated, and would leave with a container's own address
		meta nfproto ipv4 iifname @masquerade4 ct state invalid goto drop_invalid
		meta nfproto ipv6 iifname @masquerade6 ct state invalid goto drop_invalid
	}}

	# members of one bridge are neighbours, whoever they belong to
	chain forward_from_guest {{
		iifname . oifname @pairs accept
		goto forward_from_bridge
	}}

	chain forward_to_guest {{
		iifname . oifname @pairs accept
		goto forward_to_bridge
	}}

	chain forward_to_bridge {{
		meta nfproto ipv4 oifname @isolated4 goto drop_outside
		meta nfproto ipv6 oifname @isolated6 goto drop_outside
		ct state related accept
		ct status dnat accept
		meta nfproto ipv4 oifname @routed4 accept
		meta nfproto ipv6 oifname @routed6 accept
		oifname @open accept
		goto drop_outside
	}}

	chain input {{
		type filter hook input priority filter; policy accept;
		iifname @bridges goto input_from_bridge
		iif lo accept
		ct state established,related accept
		iifname . ip saddr @guests4 goto input_from_bridge
		iifname . ip6 saddr @guests6 goto input_from_bridge
		ip daddr @gateways4 drop
		ip6 daddr @gateways6 drop
	}}

	chain input_from_bridge {{
		meta nfproto ipv4 iifname @isolated4 goto drop_host
		meta nfproto ipv6 iifname @isolated6 goto drop_host
		ct state established,related accept
		iifname @host_access accept
		icmp type echo-request accept
		icmpv6 type {{ echo-request, nd-neighbor-solicit, nd-neighbor-advert }} accept
		goto drop_host
	}}
"""

_GUARD = """\
	# Forwarding was off before us. Here, not in the forward hook: only here a routed packet, which has an input interface,
	# is told from one that somebody else's bridge passes on, which has none.
	chain postrouting_guard {
		type filter hook postrouting priority filter; policy accept;
		iif 0 accept
		# what is brought to lo stays here, though it shows an input interface
		oif lo accept
		# the host's own neighbour discovery and group reports show an input interface, too; neither is ever forwarded
		ip6 hoplimit 255 accept
		ip6 daddr ff02::/16 accept
		ip daddr 224.0.0.0/24 accept
		iifname @bridges accept
		oifname @bridges accept
		iifname . ip saddr @guests4 accept
		iifname . ip6 saddr @guests6 accept
		oifname . ip daddr @guests4 accept
		oifname . ip6 daddr @guests6 accept
%s
	}
"""


def guard(families: frozenset[int]) -> str:
    """The chain that keeps the host from being a router for others, in the families (4, 6) whose forwarding we turned on."""
    if not families:
        return ""
    return "\n" + _GUARD % "\n".join(f"\t\tmeta nfproto ipv{family} drop" for family in sorted(families))

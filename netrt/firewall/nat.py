"""Address translation: published ports in, masquerade out.

Only the first packet of a connection comes here. A published port is an element of one of three maps, looked up in this order:
with a host address in its key, without, and the ranges. Only what is for an address of this host is looked up at all, so that
what passes through is never touched.

The source address is kept, except where the reply would otherwise miss the host and so the translation back: from a container
into its own network or to a container that is on the asking one's network too, and from loopback addresses; or where a runtime
wishes it otherwise.

A connection from ::1 needs more. The kernel drops what is for ::1 on any interface but lo (RFC 4291, 2.5.3), also after it was
translated back, and has no switch for that, as route_localnet is for IPv4. So such a connection comes from an address of our own
invention; what is for that address is brought to lo before it is tracked, and translated back there.
"""

from __future__ import annotations

FROM_LOOPBACK6 = "fd6e:6574:7274::1"
"""Whom a container sees when the host asks a published port at ::1: `netrt` in ASCII, in the range for local use (RFC 4193)."""

CHAINS = f"""\
	chain prerouting_nat {{
		type nat hook prerouting priority dstnat; policy accept;
		# a neighbour may have a route to a gateway address; it is for our own networks only
		iifname != @bridges ip daddr @gateways4 accept
		iifname != @bridges ip6 daddr @gateways6 accept
		fib daddr type local goto published
	}}

	chain output_nat {{
		# the name dstnat is refused in this hook
		type nat hook output priority -100; policy accept;
		fib daddr type local goto published
	}}

	chain published {{
		# what comes from a link-local address cannot be forwarded; let it be refused, not vanish
		ip6 daddr fe80::/10 accept
		dnat ip to ip daddr . meta l4proto . th dport map @ports4_at
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6_at
		dnat ip to meta l4proto . th dport map @ports4
		dnat ip6 to meta l4proto . th dport map @ports6
		dnat ip to ip daddr . meta l4proto . th dport map @ranges4
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @ranges6
	}}

	chain postrouting_nat {{
		type nat hook postrouting priority srcnat; policy accept;
		oifname @bridges goto into_bridge
		# ports that lead to where somebody else made the links
		ct status dnat ip daddr . ip saddr @hairpin4 masquerade
		ct status dnat ip6 daddr . ip6 saddr @hairpin6 masquerade
		ct status dnat ip daddr @masquerade_to4 masquerade
		ct status dnat ip6 daddr @masquerade_to6 masquerade
		# guests on bridges that somebody else made; what they send within it is neither routed nor hidden
		iifname . oifname @pairs accept
		oifname . ip daddr @guests4 accept
		oifname . ip6 daddr @guests6 accept
		iifname . ip saddr @hidden4 masquerade
		iifname . ip6 saddr @hidden6 masquerade
		meta nfproto ipv4 iifname @masquerade4 masquerade
		meta nfproto ipv6 iifname @masquerade6 masquerade
	}}

	chain into_bridge {{
		ip saddr 127.0.0.0/8 goto as_gateway
		ip6 saddr ::1 snat ip6 to {FROM_LOOPBACK6}
		ct status dnat iifname . oifname @pairs goto as_gateway
		ct status dnat ip daddr . iifname @also_on4 goto as_gateway
		ct status dnat ip6 daddr . iifname @also_on6 goto as_gateway
		ct status dnat ip daddr @masquerade_to4 goto as_gateway
		ct status dnat ip6 daddr @masquerade_to6 goto as_gateway
		# with bridge netfilter such a packet stays in the bridge, and then shows no input interface; nor do our own packets
		ct status dnat iif 0 fib saddr type != local goto as_gateway
	}}

	# by name, for the kernel forgets what it masqueraded by an address when that gets another prefix length
	chain as_gateway {{
		snat ip to oifname map @gateway_of4
		snat ip6 to oifname map @gateway_of6
		masquerade
	}}
"""

LOOPBACK6 = f"""\
	chain prerouting_raw {{
		type filter hook prerouting priority raw + 10; policy accept;
		ip6 daddr {FROM_LOOPBACK6} iif != lo goto over_lo
		# the copy that dup made is not tracked; to give it a zone, the usual one, makes it tracked again
		ip6 daddr {FROM_LOOPBACK6} ct state untracked ct zone set 0
	}}

	chain over_lo {{
		dup to ::1 device lo
		drop
	}}

	chain prerouting_filter {{
		type filter hook prerouting priority filter; policy accept;
		# not translated back: the answer to nothing
		ip6 daddr {FROM_LOOPBACK6} drop
	}}
"""

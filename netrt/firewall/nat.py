"""Address translation: published ports in, masquerade out.

Only the first packet of a connection comes here. A published port is an element of one of three maps, looked up in this order:
with a host address in its key, without, and the ranges. Only what is for an address of this host is looked up at all, so that
what passes through is never touched.

The source address is kept, except where the reply would otherwise miss the host and so the translation back:
from a container into its own network, and from loopback addresses.
"""

from __future__ import annotations

CHAINS = """\
	chain prerouting_nat {
		type nat hook prerouting priority dstnat; policy accept;
		# a neighbour may have a route to a gateway address; it is for our own networks only
		iifname != @bridges ip daddr @gateways4 accept
		iifname != @bridges ip6 daddr @gateways6 accept
		fib daddr type local goto published
	}

	chain output_nat {
		# the name dstnat is refused in this hook
		type nat hook output priority -100; policy accept;
		fib daddr type local goto published
	}

	chain published {
		# what comes from a link-local address cannot be forwarded; let it be refused, not vanish
		ip6 daddr fe80::/10 accept
		dnat ip to ip daddr . meta l4proto . th dport map @ports4_at
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6_at
		dnat ip to meta l4proto . th dport map @ports4
		dnat ip6 to meta l4proto . th dport map @ports6
		dnat ip to ip daddr . meta l4proto . th dport map @ranges4
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @ranges6
	}

	chain postrouting_nat {
		type nat hook postrouting priority srcnat; policy accept;
		oifname @bridges goto into_bridge
		meta nfproto ipv4 iifname @masquerade4 masquerade
		meta nfproto ipv6 iifname @masquerade6 masquerade
	}

	chain into_bridge {
		ip saddr 127.0.0.0/8 masquerade
		ip6 saddr ::1 masquerade
		ct status dnat iifname . oifname @pairs masquerade
		# with bridge netfilter such a packet stays in the bridge, and then shows no input interface; nor do our own packets
		ct status dnat iif 0 fib saddr type != local masquerade
	}
"""

LOOPBACK6 = """\
	# Answers to connections that came from ::1: once translated back they are for ::1, and the kernel drops that on any
	# interface but lo (RFC 4291, 2.5.3; IPv6 has no route_localnet). So they are brought to lo before they are translated.
	chain prerouting_mangle {
		type filter hook prerouting priority mangle; policy accept;
		iif != lo ct direction reply ct original saddr ::1 goto over_lo
	}

	chain over_lo {
		dup to ::1 device lo
		drop
	}

	# A copy made by dup is not tracked. To give it a zone, the one that it had, makes it tracked again.
	chain prerouting_raw {
		type filter hook prerouting priority raw; policy accept;
		iif lo ct state untracked fib saddr type != local ct zone set 0
	}
"""

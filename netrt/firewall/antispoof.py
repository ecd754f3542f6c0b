"""Each bridge port bound to the MAC and the addresses of its container, on the frame's way into the bridge.

Stateless, and before the bridge learns a MAC and before bridge netfilter. Frames of our ports that nothing accepts are dropped,
other ethertypes and VLAN tags included; frames of other ports are not looked at. Networks may ask for less (`antispoof`).
"""

from __future__ import annotations

CHAINS = """\
	chain prerouting {
		type filter hook prerouting priority filter; policy accept;
		iifname @links goto from_container
		# here the MAC is all that matters
		iifname @mac_links iifname . ether saddr != @macs goto drop_source
	}

	chain from_container {
		ether type vmap { ip : goto from_ip, ip6 : goto from_ip6, arp : goto from_arp }
		goto drop_frame
	}

	chain from_ip {
		# no container serves DHCP to others or tells them their routes
		udp sport 67 goto drop_service
		icmp type { redirect, router-advertisement } goto drop_service
		iifname . ether saddr . ip saddr @sources4 accept
		goto drop_source
	}

	chain from_arp {
		iifname . ether saddr . arp saddr ip @sources4 iifname . arp saddr ether . arp saddr ip @sources4 accept
		goto drop_source
	}

	chain from_ip6 {
		udp sport 547 goto drop_service
		icmpv6 type { nd-router-advert, nd-redirect } goto drop_service
		icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @targets6 goto drop_source
		ip6 saddr :: goto from_unspecified
		iifname . ether saddr . ip6 saddr @sources6 accept
		goto drop_source
	}

	# the sender has no address yet: it asks whether its own is in use, and reports the multicast groups that it joins
	chain from_unspecified {
		iifname . ether saddr . ip6 saddr != @sources6 goto drop_source
		icmpv6 type nd-neighbor-solicit iifname . @th,64,128 @targets6 accept
		icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } accept
		goto drop_source
	}
"""

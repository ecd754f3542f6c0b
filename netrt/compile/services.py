"""What ports are called in SRV records: their number, and the name that IANA gave to those that containers commonly publish."""

from __future__ import annotations

from collections.abc import Iterator

from netrt.model.port import PortMapping

MOST_PORTS = 16
"""Of a published range, this many ports from its beginning are looked up by name: nobody finds the others by a name."""

_TCP = {
    21: "ftp",
    22: "ssh",
    25: "smtp",
    53: "domain",
    80: "http",
    88: "kerberos",
    110: "pop3",
    143: "imap",
    389: "ldap",
    443: "https",
    465: "submissions",
    587: "submission",
    636: "ldaps",
    873: "rsync",
    993: "imaps",
    995: "pop3s",
    1433: "ms-sql-s",
    1521: "oracle",
    1883: "mqtt",
    2049: "nfs",
    2379: "etcd-client",
    2380: "etcd-server",
    3306: "mysql",
    4222: "nats",
    5060: "sip",
    5222: "xmpp-client",
    5269: "xmpp-server",
    5432: "postgresql",
    5671: "amqps",
    5672: "amqp",
    6379: "redis",
    6667: "ircd",
    8080: "http-alt",
    8883: "secure-mqtt",
    11211: "memcache",
    27017: "mongodb",
}
_UDP = {53: "domain", 69: "tftp", 123: "ntp", 161: "snmp", 443: "https", 514: "syslog", 5060: "sip"}
_NAMES = {"tcp": _TCP, "udp": _UDP, "sctp": {}}


def published_services(ports: tuple[PortMapping, ...]) -> Iterator[tuple[str, int]]:
    """`_http._tcp` and `_80._tcp`, each with the container's port, for every published port."""
    for mapping in ports:
        for port in range(mapping.container_port, mapping.container_port + min(mapping.count, MOST_PORTS)):
            for name in filter(None, (_NAMES[mapping.protocol].get(port), str(port))):
                yield f"_{name}._{mapping.protocol}", port

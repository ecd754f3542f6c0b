"""Where netrt keeps its files. `--root DIR` or `NETRT_ROOT=DIR` moves all of it below DIR, so that several independent netrt
live side by side. Values only; nothing is read or made here."""

from __future__ import annotations

from typing import NamedTuple

ROOT_VARIABLE = "NETRT_ROOT"


class Paths(NamedTuple):
    """`run` is lost at a reboot, `lib` is kept, `etc` is the user's."""

    run: str = "/run/netrt"
    lib: str = "/var/lib/netrt"
    etc: str = "/etc/netrt"

    @staticmethod
    def under(root: str | None) -> Paths:
        """The paths below `root` (`root/run`, `root/lib`, `root/etc`), or the standard ones for None or an empty string."""
        return Paths(run=f"{root}/run", lib=f"{root}/lib", etc=f"{root}/etc") if root else Paths()

    @property
    def socket(self) -> str:
        """The daemon's unix socket."""
        return f"{self.run}/netrt.sock"

    @property
    def plugin_socket(self) -> str:
        """Where the CNI program asks the daemon."""
        return f"{self.run}/cni.sock"

    @property
    def lock(self) -> str:
        """Held (flock) by the one daemon of this state."""
        return f"{self.lib}/lock"

    @property
    def database(self) -> str:
        return f"{self.lib}/netrt.db"

    @property
    def configuration(self) -> str:
        return f"{self.etc}/netrt.toml"

    @property
    def forwarding(self) -> str:
        """Remembers until the next boot for which families we turned forwarding on."""
        return f"{self.run}/forwarding"

    @property
    def entered(self) -> str:
        """Names the sandboxes of others that a command is about to change."""
        return f"{self.run}/entered"

    @property
    def daemon_log(self) -> str:
        """What a daemon that was started on demand prints."""
        return f"{self.run}/netrtd.log"

    @property
    def resolver_socket(self) -> str:
        """Where netrt-dns is told names by the daemon."""
        return f"{self.run}/netrt-dns.sock"

    @property
    def resolver_lock(self) -> str:
        """Held (flock) by the one netrt-dns of this state."""
        return f"{self.run}/netrt-dns.lock"

    @property
    def resolver_names(self) -> str:
        """The names that netrt-dns was told last, for its next start."""
        return f"{self.run}/netrt-dns.names"

    @property
    def resolver_log(self) -> str:
        """What netrt-dns prints where the daemon started it."""
        return f"{self.run}/netrt-dns.log"

    def container(self, container_id: str) -> str:
        """The directory of a container's own resolv.conf, hosts and hostname."""
        return f"{self.run}/containers/{container_id}"

    def log(self, container_id: str) -> str:
        """What a detached container printed, as JSON lines of `log`, `stream` and `time` (Docker's json-file format)."""
        return f"{self.lib}/containers/{container_id}.log"

"""podman with all of its files below one directory of a host, and with CNI plugins."""

from __future__ import annotations

import json
from pathlib import Path

SETTINGS = """\
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=512:512", "nproc=512:512"]
[network]
network_backend = "cni"
cni_plugin_dirs = {plugins}
network_config_dir = "{home}/networks"
default_network = "{network}"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
"""


def settings(home: Path, network: str, *plugins: str) -> str:
    """`containers.conf`; `network` is the one of who names none, `plugins` are directories."""
    return SETTINGS.format(home=home, network=network, plugins=json.dumps(plugins))


def command(home: Path) -> tuple[str, ...]:
    """How each command line begins."""
    kept = ("--root", f"{home}/root", "--runroot", f"{home}/runroot", "--tmpdir", f"{home}/tmp")
    return ("podman", *kept, "--storage-driver", "vfs")

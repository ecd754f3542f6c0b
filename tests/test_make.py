"""What the Makefile promises: its help, and an installation into another root."""

from __future__ import annotations

import configparser
import importlib
import json
import os
import re
import subprocess
from pathlib import Path

TOP = Path(__file__).parent.parent
PLUGINS = TOP / "cni-plugins"
TARGETS = (
    "help",
    "setup",
    "fmt",
    "check",
    "test",
    "kernel",
    "e2e",
    "e2e-runtimes",
    "fuzz",
    "soak",
    "sweep",
    "bench",
    "bench-peers",
    "profile",
    "demo",
    "clean",
    "install",
)


def make(*words: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(["make", "-C", TOP, *words], env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_lists_what_is_supported() -> None:
    shown = [line.split()[1] for line in make("help").splitlines() if line.startswith("  make ")]
    assert sorted(shown) == sorted(TARGETS)


def test_ci_runs_the_tests() -> None:
    run = (TOP / ".ci/run").read_text()
    assert "make test\n" in run
    assert "make e2e-runtimes\n" in run
    assert os.access(TOP / ".ci/run", os.X_OK)


def test_every_wheel_is_pinned() -> None:
    """What is installed here is what the constraints say, and nothing else."""
    pip = [str(TOP / ".venv/bin/python"), "-m", "pip", "freeze", "--exclude-editable"]
    freeze = subprocess.run(pip, capture_output=True, text=True, check=True).stdout.split()
    pinned = {line for line in (TOP / "tests/constraints.txt").read_text().splitlines() if not line.startswith("#")}
    assert set(freeze) <= pinned


def test_install_elsewhere(tmp_path: Path) -> None:
    make("install", f"DESTDIR={tmp_path}")
    for program in ("netrt", "netrtd", "netrt-dns"):
        launcher = tmp_path / "usr/local/bin" / program
        assert os.access(launcher, os.X_OK)
        assert launcher.read_text().startswith(f"#!{TOP}/.venv/bin/python")
    hook = tmp_path / "usr/local/bin/netrt-hook"
    assert f'\nHOME = "{TOP}"  #' in hook.read_text()
    done = subprocess.run([hook, "createRuntime"], input="{}", capture_output=True, text=True, check=False, cwd="/")
    assert "config.json cannot be read" in done.stderr
    plugins = tmp_path / "opt/cni/bin"
    assert sorted(path.name for path in plugins.iterdir()) == sorted(path.name for path in PLUGINS.glob("netrt*"))
    for plugin in plugins.iterdir():
        assert os.access(plugin, os.X_OK)
        assert plugin.read_text().startswith("#!/usr/bin/python3 -IS\n")
        assert f'\nHOME = "{TOP}"  #' in plugin.read_text()
        asked = {"CNI_COMMAND": "VERSION", "NETRT_ROOT": str(tmp_path)}
        said = subprocess.run([plugin], env=asked, stdin=subprocess.DEVNULL, capture_output=True, check=True, cwd="/")
        assert json.loads(said.stdout)["supportedVersions"][-1] == "1.1.0"
    units = {
        path.name: configparser.ConfigParser(interpolation=None, strict=False)
        for path in (tmp_path / "usr/local/lib/systemd/system").iterdir()
    }
    assert set(units) == {"netrtd.service", "netrtd.socket", "netrt-dns.service"}
    for name, unit in units.items():
        unit.optionxform = str  # type: ignore[method-assign,assignment]
        unit.read(next(tmp_path.rglob(name)))
    assert units["netrtd.service"]["Service"]["KillMode"] == "process"
    assert units["netrtd.service"]["Service"]["ExecStart"].startswith("/usr/local/bin/netrtd")
    assert units["netrtd.service"]["Service"]["ExecStart"].endswith("--dns-unit netrt-dns.service")
    assert units["netrtd.service"]["Unit"]["Wants"] == "netrt-dns.service"
    assert units["netrt-dns.service"]["Service"]["ExecStart"] == "/usr/local/bin/netrt-dns"
    assert units["netrt-dns.service"]["Service"]["Restart"] == "always"
    sockets = next(tmp_path.rglob("netrtd.socket")).read_text()
    assert re.findall("ListenStream=(.*)", sockets) == ["/run/netrt/netrt.sock", "/run/netrt/cni.sock"]
    assert units["netrtd.socket"]["Socket"]["SocketGroup"] == "netrt"


def test_what_it_runs_is_there() -> None:
    """In a clone, too: an import is what a file that was never committed fails."""
    named = set(re.findall(r"\btests(?:\.\w+)+", (TOP / "Makefile").read_text()))
    assert {"tests.bench.runpeers", "tests.bench.profile", "tests.soak"} <= named
    for module in sorted(named):
        importlib.import_module(module)

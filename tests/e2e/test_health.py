"""Who is not healthy is not found by its aliases, and everybody is told."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import docker
import pytest

from tests.asking import Asker
from tests.command import Netrt
from tests.waiting import wait_until

pytestmark = pytest.mark.root

QUICK = ("--health-interval", "50ms", "--health-retries", "2", "--health-timeout", "5s")


@pytest.fixture
def app(netrt: Netrt) -> Netrt:
    netrt("network", "create", "--subnet", "10.1.0.0/24", "app")
    return netrt


def client(netrt: Netrt) -> Asker:
    return Asker(netrt.host, netrt.box("client", "--network", "app").path)


def health(netrt: Netrt, name: str = "web") -> str:
    return str(netrt.inspect(name)["State"]["Health"]["Status"])


def events(netrt: Netrt) -> list[str]:
    said = netrt("events", "--since", "1h", "--until", "0s", "--format", "json", "--filter", "container=web")
    return [json.loads(line)["Action"] for line in said.splitlines()]


def test_a_command_decides(app: Netrt, tmp_path: Path) -> None:
    asking, sick = client(app), tmp_path / "sick"
    app("container", "create", "--name", "twin", "--network", "app", "--alias", "www")
    check = ("--health-cmd", f"echo looked; ! test -e {sick}")
    app("run", "-d", "--name", "web", "--network", "app", "--alias", "www", *check, *QUICK, "sleep", "infinity")
    own, both = ["10.1.0.4"], ["10.1.0.3", "10.1.0.4"]
    wait_until(lambda: sorted(asking.looked_up("www")) == both, 10, "its share of the alias")
    assert health(app) == "healthy"
    assert "(healthy)" in app("ps", "--filter", "health=healthy")
    sick.touch()
    wait_until(lambda: asking.looked_up("www") == ["10.1.0.3"], 20, "its leaving the alias")
    assert asking.looked_up("web") == own
    found = app.inspect("web")["State"]["Health"]
    assert (found["Status"], found["FailingStreak"] >= 2) == ("unhealthy", True)
    assert (found["Log"][-1]["ExitCode"], found["Log"][-1]["Output"]) == (1, "looked\n")
    assert "(unhealthy)" in app("ps")
    sick.unlink()
    wait_until(lambda: sorted(asking.looked_up("www")) == both, 20, "its return")
    told = [action for action in events(app) if action.startswith("health_status")]
    assert told == ["health_status: healthy", "health_status: unhealthy", "health_status: healthy"]


def test_a_port_decides(app: Netrt) -> None:
    """Others must reach it, so one that listens for itself only is not healthy."""
    asking = client(app)
    words = ("--network", "app", "--alias", "www", "--health-port", "80", *QUICK, "sleep", "infinity")
    app("run", "-d", "--name", "web", *words)
    box = Asker(app.host, app.inspect("web")["NetworkSettings"]["SandboxKey"])
    with box.tcp(80, "127.0.0.1"):
        wait_until(lambda: health(app) == "unhealthy", 10, "failures")
    assert asking.looked_up("www.app") == ["NXDOMAIN"]
    with box.tcp(80, "10.1.0.3"):
        wait_until(lambda: asking.looked_up("www.app") == ["10.1.0.3"], 10, "its alias")
    wait_until(lambda: asking.looked_up("www.app") == ["NXDOMAIN"], 10, "the end of its alias")
    assert "Connection refused" in app.inspect("web")["State"]["Health"]["Log"][-1]["Output"]


def test_a_check_that_hangs_is_ended(app: Netrt) -> None:
    app(
        "run", "-d", "--name", "web", "--network", "app", "--health-cmd", "echo begun; sleep 1000",
        "--health-interval", "50ms", "--health-timeout", "300ms", "--health-retries", "1", "sleep", "infinity",
    )  # fmt: skip
    wait_until(lambda: health(app) == "unhealthy", 10, "a failure")
    last = app.inspect("web")["State"]["Health"]["Log"][-1]
    assert (last["ExitCode"], last["Output"]) == (-1, "Health check exceeded timeout (0.3s): begun\n")


def test_it_starts_unknown_to_its_alias_and_a_restarted_daemon_goes_on(app: Netrt, tmp_path: Path) -> None:
    asking, well = client(app), tmp_path / "well"
    check = ("--health-cmd", f"test -e {well}", "--health-start-period", "1h", "--health-start-interval", "50ms")
    app("run", "-d", "--name", "web", "--network", "app", "--alias", "www", *check, *QUICK, "sleep", "infinity")
    wait_until(lambda: len(app.inspect("web")["State"]["Health"]["Log"]) > 3, 20, "checks")
    assert health(app) == "starting"
    assert "(health: starting)" in app("ps")
    assert asking.looked_up("www.app") == ["NXDOMAIN"]
    os.kill(int(Path("/var/lib/netrt/lock").read_text()), signal.SIGKILL)
    well.touch()
    app("ps")
    wait_until(lambda: asking.looked_up("www.app") == ["10.1.0.3"], 10, "its alias")
    app("stop", "-t", "0", "web")
    well.unlink()
    app("start", "web")
    assert health(app) == "starting"
    assert asking.looked_up("www.app") == ["NXDOMAIN"]
    assert asking.looked_up("web") == ["10.1.0.3"]


def test_what_cannot_be_checked_is_refused(app: Netrt) -> None:
    run = ("run", "--network", "app")
    assert "health port" in app.refused(*run, "--health-port", "0", "true")
    assert "one of them" in app.refused(*run, "--health-port", "80", "--health-cmd", "true", "true")
    assert "a duration" in app.refused(*run, "--health-cmd", "true", "--health-interval", "soon", "true")
    assert "give --health-cmd" in app.refused(*run, "--health-retries", "2", "true")
    assert "1 to 1000" in app.refused(*run, "--health-cmd", "true", "--health-retries", "0", "true")
    assert "give a command" in app.refused("container", "create", "--health-cmd", "true")


def test_a_docker_client_asks_for_checks(app: Netrt) -> None:
    check = {"test": ["CMD", "true"], "interval": 50_000_000}
    with contextlib.closing(docker.APIClient(base_url="unix:///run/netrt/netrt.sock", version="auto")) as client:
        client.create_container("", ["sleep", "infinity"], name="web", healthcheck=check)
    app("start", "web")
    wait_until(lambda: health(app) == "healthy", 10, "a check")
    assert app.inspect("web")["Config"]["Healthcheck"]["Test"] == ["CMD", "true"]

"""What a client asks about the daemon itself."""

from __future__ import annotations

import os
import platform

from aiohttp import web

from netrt import __version__
from netrt.api.answer import Api, Route, answer
from netrt.api.schema.containers import status
from netrt.api.schema.networks import DRIVERS

API_VERSION = "1.47"
OLDEST_API_VERSION = "1.24"


async def ping(api: Api, request: web.Request) -> web.Response:
    return web.Response(
        text="OK", headers={"Docker-Experimental": "false", "Ostype": "linux", "Cache-Control": "no-cache"}
    )


async def show_version(api: Api, request: web.Request) -> web.Response:
    host = os.uname()
    return answer(
        {
            "Platform": {"Name": "netrt"},
            "Version": __version__,
            "ApiVersion": API_VERSION,
            "MinAPIVersion": OLDEST_API_VERSION,
            "Os": "linux",
            "Arch": host.machine,
            "KernelVersion": host.release,
            "GitCommit": "",
            "GoVersion": "",
            "BuildTime": "",
            "PythonVersion": platform.python_version(),
        }
    )


async def info(api: Api, request: web.Request) -> web.Response:
    state, host = api.engine.state, os.uname()
    statuses = [status(container) for container in state.containers.values()]
    return answer(
        {
            "ID": "netrt",
            "Name": host.nodename,
            "ServerVersion": __version__,
            "Driver": "",
            "DockerRootDir": api.paths.lib,
            "Containers": len(statuses),
            "ContainersRunning": statuses.count("running"),
            "ContainersPaused": 0,
            "ContainersStopped": len(statuses) - statuses.count("running"),
            "Images": 0,
            "Networks": len(state.networks),
            "Plugins": {"Network": [str(driver) for driver in DRIVERS], "Volume": [], "Log": ["json-file"]},
            "KernelVersion": host.release,
            "OperatingSystem": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
            "OSType": "linux",
            "Architecture": host.machine,
            "NCPU": os.cpu_count(),
            "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "Warnings": [],
            "Netrt": {"PublishAddress": api.publish_address},
        }
    )


ROUTES: tuple[Route, ...] = (
    ("GET", "/_ping", ping),
    ("GET", "/version", show_version),
    ("GET", "/info", info),
)

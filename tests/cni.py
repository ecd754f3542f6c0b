"""CNI as a runtime does it: plugins of a configuration list executed one after another, each with the result of the one before,
by the rules of the specification's section 3."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.command import Netrt
from tests.host import Host
from tests.traffic import Place

PLUGINS = str(Path(__file__).parents[1] / "cni-plugins")

Config = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What an execution came to: exit status, standard output and standard error output."""

    status: int
    output: str
    errors: str

    @property
    def error(self) -> dict[str, Any]:
        """The error object. AssertionError if the plugin did not fail with one."""
        assert self.status != 0, f"the plugin did not fail: {self.output}"
        assert "Traceback" not in self.errors, self.errors
        said: dict[str, Any] = json.loads(self.output)
        assert {"cniVersion", "code", "msg"} <= said.keys(), said
        return said

    @property
    def result(self) -> dict[str, Any]:
        """The result object. AssertionError if the plugin failed."""
        assert self.status == 0, self.output + self.errors
        said: dict[str, Any] = json.loads(self.output)
        return said


class Container(Place):
    """A namespace that a runtime made, with the id that it gave it."""

    def __init__(self, host: Host, name: str, path: str = "") -> None:
        super().__init__(host, path or host.namespace(name))
        self.name = name
        self.id = name


@dataclass
class Attached:
    """One attachment, with what is needed to check and to delete it."""

    cni: Cni
    network: Config
    container: Container
    ifname: str
    result: dict[str, Any]
    capabilities: Mapping[str, Any] = field(default_factory=dict)

    @property
    def addresses(self) -> list[str]:
        """Without prefix length."""
        return [ip["address"].partition("/")[0] for ip in self.result["ips"]]

    @property
    def ip4(self) -> str:
        return next(address for address in self.addresses if ":" not in address)

    @property
    def ip6(self) -> str:
        return next(address for address in self.addresses if ":" in address)

    def check(self) -> None:
        """CHECK of the whole list. AssertionError if it finds something."""
        for answer in self._each("CHECK", self.network["plugins"]):
            assert answer.status == 0, answer.output

    def complaint(self) -> str:
        """What CHECK of the first plugin finds. AssertionError if it finds nothing."""
        answers = self._each("CHECK", self.network["plugins"])
        return str(next(answer for answer in answers if answer.status).error["msg"])

    def delete(self, **more: Any) -> None:
        """DEL of the whole list, in reverse order. AssertionError if one fails."""
        for answer in self._each("DEL", self.network["plugins"][::-1], **more):
            assert answer.status == 0, answer.output

    def _each(self, verb: str, plugins: list[Config], **more: Any) -> list[Answer]:
        return [
            self.cni.execute(
                verb,
                self.cni.request(self.network, plugin, self.capabilities, self.result),
                **{"container": self.container.id, "netns": self.container.path, "ifname": self.ifname, **more},
            )
            for plugin in plugins
        ]


class Cni:
    """A runtime on a host. `path` is CNI_PATH; `netrt` starts the daemon before the first execution, where how that comes about
    is not what is tested."""

    def __init__(self, host: Host, path: str = PLUGINS, netrt: Netrt | None = None) -> None:
        self.host = host
        self.path = path
        self._netrt = netrt

    def left_broken(self) -> None:
        """Before the first ADD: what somebody breaks stays so, for CHECK to find; the daemon would mend it meanwhile."""
        Path("/etc/netrt/netrt.toml").write_text("mending = false\nlock_rules = false\n")

    def container(self, name: str) -> Container:
        return Container(self.host, name)

    def known(self, name: str) -> Container:
        """One that was made before."""
        return Container(self.host, name, f"/run/netns/{name}")

    def execute(
        self,
        verb: str,
        config: Config | bytes | None,
        *,
        container: str = "c1",
        netns: str = "/run/netns/c1",
        ifname: str = "eth0",
        plugin: str = "",
        args: str = "",
        patience: float = 60,
        **variables: str,
    ) -> Answer:
        """Run one plugin: that of the configuration's `type`, unless said otherwise. Empty variables are left out."""
        return self.begin(
            verb, config, container=container, netns=netns, ifname=ifname, plugin=plugin, args=args, **variables
        )(patience)

    def begin(self, verb: str, config: Config | bytes | None, **more: str) -> Callable[..., Answer]:
        """Start one plugin, as `execute` does; what is returned waits for its end."""
        child = self.start(verb, config, **more)

        def finish(patience: float = 60) -> Answer:
            try:
                output, errors = child.communicate(timeout=patience)
            finally:
                child.kill()
            return Answer(child.returncode, output, errors)

        return finish

    def start(
        self,
        verb: str,
        config: Config | bytes | None,
        *,
        container: str = "c1",
        netns: str = "/run/netns/c1",
        ifname: str = "eth0",
        plugin: str = "",
        args: str = "",
        **variables: str,
    ) -> subprocess.Popen[str]:
        """The process, which has read its configuration from a file that is there as a whole."""
        if self._netrt:
            self._netrt("network", "ls")
            self._netrt = None
        text = config if isinstance(config, bytes) else b"" if config is None else json.dumps(config).encode()
        program = plugin or (str(config["type"]) if isinstance(config, dict) else "netrt-bridge")
        said = {
            "CNI_COMMAND": verb,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": ifname,
            "CNI_ARGS": args,
            "CNI_PATH": self.path,
            **variables,
        }
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "NETRT_ROOT")}
        environment |= {name: value for name, value in said.items() if value}
        pipe = subprocess.PIPE
        with tempfile.TemporaryFile() as given:
            given.write(text)
            given.seek(0)
            return subprocess.Popen(
                [self._program(program)], stdin=given, stdout=pipe, stderr=pipe, env=environment, text=True
            )

    def _program(self, name: str) -> str:
        return next(p for d in self.path.split(":") if os.access(p := f"{d}/{name}", os.X_OK))

    @staticmethod
    def request(
        network: Config, plugin: Config, capabilities: Mapping[str, Any], previous: dict[str, Any] | None
    ) -> Config:
        """The configuration of one execution (specification, section 3: deriving request configuration)."""
        made = {key: value for key, value in plugin.items() if key != "capabilities"}
        made |= {"cniVersion": network["cniVersion"], "name": network["name"]}
        declared = plugin.get("capabilities", {})
        wanted = {key: value for key, value in capabilities.items() if declared.get(key)}
        if wanted:
            made["runtimeConfig"] = wanted
        if previous is not None:
            made["prevResult"] = previous
        return made

    def add(
        self, network: Config, container: Container, ifname: str = "eth0", args: str = "", **capabilities: Any
    ) -> Attached:
        """ADD of the whole list. AssertionError if one fails."""
        answer = self.try_add(network, container, ifname, args, **capabilities)
        return Attached(self, network, container, ifname, answer.result, capabilities)

    def try_add(
        self, network: Config, container: Container, ifname: str = "eth0", args: str = "", **capabilities: Any
    ) -> Answer:
        """ADD of the list as far as it goes; the answer of the last plugin that was executed."""
        previous, answer = None, Answer(1, "", "a list without plugins")
        for plugin in network["plugins"]:
            request = self.request(network, plugin, capabilities, previous)
            answer = self.execute(
                "ADD", request, container=container.id, netns=container.path, ifname=ifname, args=args
            )
            if answer.status:
                return answer
            previous = answer.result
        return answer


def bridge(name: str = "mynet", subnet: str = "10.22.0.0/16", **more: Any) -> Config:
    """netrt-bridge in the reference's usual configuration: gateway, masquerade, and a default route."""
    config: Config = {
        "type": "netrt-bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "ipam": {"type": "netrt-host-local", "subnet": subnet, "routes": [{"dst": "0.0.0.0/0"}]},
        **more,
    }
    return {key: value for key, value in config.items() if value is not None}


def network(*plugins: Config, name: str = "mynet", version: str = "1.1.0") -> Config:
    """A configuration list."""
    return {"cniVersion": version, "name": name, "plugins": list(plugins)}


PORTMAP: Config = {"type": "netrt-portmap", "capabilities": {"portMappings": True}}
BANDWIDTH: Config = {"type": "netrt-bandwidth", "capabilities": {"bandwidth": True}}


def port(host_port: int, container_port: int, protocol: str = "tcp", **more: Any) -> dict[str, Any]:
    """One of `portMappings`."""
    return {"hostPort": host_port, "containerPort": container_port, "protocol": protocol, **more}

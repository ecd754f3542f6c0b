"""A daemon of nothing but its decisions: requests become commands, commands make the next State, and State is shown as JSON."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from netrt import Client
from netrt.api.schema import containers, live, networks
from netrt.api.schema.create import create_container, decode_container
from netrt.cli.apply import seen
from netrt.cli.steps import performed, rehearse
from netrt.cli.wishfile import read_tree
from netrt.dataplane.facts import HostFacts
from netrt.decide.decide import decide
from netrt.decide.lookup import find_container
from netrt.decide.networks import initial_state
from netrt.declare.conflicts import check
from netrt.declare.ours import read_ours
from netrt.declare.plan import Plan, plan
from netrt.declare.wish import Present, Wish
from netrt.model.command import Command, RemoveContainer, RemoveNetwork
from netrt.model.container import Sandbox


def ours(document: object, project: str = "p") -> Wish:
    """The wish of a file of ours, given as what its YAML means."""
    return read_ours(read_tree(json.dumps(document), "f.yaml"), project, "")


class Town(Client):
    """Its `asked` are the commands that it did."""

    def __init__(self) -> None:
        self.state = initial_state()
        self.asked: list[Command] = []
        self._numbers = itertools.count(1)

    def request(self, method: str, path: str, *, query: Mapping[str, str] = {}, body: Any = None) -> Any:
        """As the daemon's routes do it."""
        words = [unquote(word) for word in path.strip("/").split("/")]
        if method == "GET":
            return json.loads(json.dumps(self._shown(words), default=dict))
        command = self._command(method, words, query, json.dumps(body).encode())
        decision = decide(self.state, command, HostFacts(), 0)
        if "dry-run" in query:
            return {"Plan": ["something"]}
        self.state = decision.state
        self.asked.append(command)
        return {"Id": decision.id}

    def _shown(self, words: list[str]) -> Any:
        match words:
            case ["networks"]:
                return networks.list_networks(self.state, {}, 0)
            case ["containers", "json"]:
                return containers.list_containers(self.state, {}, every=True, now=0)
            case ["containers", ref, "json"]:
                return containers.container_json(self.state, find_container(self.state, ref))
        raise AssertionError(words)

    def _command(self, method: str, words: list[str], query: Mapping[str, str], body: bytes) -> Command:
        identifier = f"{next(self._numbers):064x}"
        match method, words:
            case "POST", ["networks", "create"]:
                return networks.create_network(body, identifier)
            case "POST", ["networks", name, "connect"]:
                return networks.connect(name, body)
            case "POST", ["networks", name, "disconnect"]:
                return networks.disconnect(name, body)
            case "POST", ["netrt", "networks", name, "update"]:
                return networks.update_network(name, body)
            case "DELETE", ["networks", name]:
                return RemoveNetwork(network=name)
            case "POST", ["containers", "create"]:
                asked = decode_container(body)
                path = asked.netrt.netns_path if asked.netrt else ""
                adopt = Sandbox(path=path, owned=False, inode=hash(path)) if path else None
                return create_container(
                    asked,
                    identifier=identifier,
                    name=query.get("name", ""),
                    generated_name="",
                    adopt=adopt,
                    publish_address="",
                )
            case "DELETE", ["containers", name]:
                return RemoveContainer(container=name)
            case "POST", ["netrt", "containers", name, "ports"]:
                return live.publish(name, body, "")
            case "POST", ["netrt", "containers", name, "limits"]:
                return live.limit(name, body)
        raise AssertionError((method, words))

    def seen(self) -> Present:
        """What is there, as `netrt apply` sees it."""
        return seen(self)

    def planned(self, wish: Wish, *, prune: bool = False) -> Plan:
        """The plan of an apply, with all its checks."""
        there = self.seen()
        made = plan(there, wish, prune=prune)
        check(there, wish, made)
        rehearse(self, made)
        return made

    def apply(self, wish: Wish, *, prune: bool = False) -> Plan:
        """A whole apply."""
        made = self.planned(wish, prune=prune)
        assert [*performed(self, made)] == [*made.steps]
        return made

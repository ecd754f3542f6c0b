"""Containers: where they live, what they are on, what is told of them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from netrt.decide.networks import predefined_id
from netrt.errors import Conflict, InUse, NotFound
from netrt.model.command import Endpoint, Reclaim, Rename
from netrt.model.container import ProcessSpec, Sandbox
from netrt.model.names import link_name, short_id
from netrt.model.network import DEFAULT_NETWORK
from tests.unit.decide.asking import Asked, told


@pytest.fixture
def host() -> Asked:
    asked = Asked()
    asked.network("app", "10.1.0.0/24", "fd00:1::/64")
    asked.network("back", "10.2.0.0/24", internal=True)
    return asked


@pytest.mark.parametrize("mode", ["default", "bridge", ""])
def test_the_default_network_is_made_on_first_use(host: Asked, mode: str) -> None:
    web = host.run("web", mode)
    assert told(host.last) == [
        ("network", "create", "bridge"),
        ("container", "create", "web"),
        ("network", "connect", "bridge"),
    ]
    assert host.last.touched.networks == {predefined_id(DEFAULT_NETWORK)}
    assert host.last.touched.containers == {web.id}
    assert web.network_mode == "bridge"
    host.run("db", mode)
    assert host.last.touched.networks == frozenset()
    network = host.state.networks[predefined_id(DEFAULT_NETWORK)]
    assert network.subnets[0].cidr.endswith("/20"), "room for as many containers as a bridge has ports"
    assert [a.address4.split(".")[-1] for name in ("web", "db") for a in host.on(name)] == ["2/20", "3/20"]


def test_the_default_network_can_be_one_of_several_and_connected_to(host: Asked) -> None:
    host.run("web", "app", endpoints=(Endpoint(network="app"), Endpoint(network="default")))
    assert [host.state.networks[a.network_id].name for a in host.on("web")] == ["app", "bridge"]
    other = Asked()
    other.run("db", "none")
    other.connect("db", "bridge")
    assert told(other.last) == [("network", "create", "bridge"), ("network", "connect", "bridge")]


def test_a_container_of_its_own(host: Asked) -> None:
    web = host.run("web", "app")
    (attachment,) = host.on("web")
    assert web.sandbox == Sandbox(path="/run/netns/netrt-web", owned=True)
    assert web.hostname == short_id(web.id)
    assert web.created == "2025-06-15T15:06:40.000000003Z"
    assert (attachment.ifname, attachment.mac) == ("eth0", "02:42:0a:01:00:02")
    assert (attachment.address4, attachment.address6) == ("10.1.0.2/24", "fd00:1::2/64")
    assert attachment.link == link_name(web.id, "eth0")
    assert attachment.fixed == ()


def test_the_first_network_is_that_of_the_mode(host: Asked) -> None:
    web = host.run("web", "back", endpoints=(Endpoint(network="app"), Endpoint(network="back", address4="10.2.0.9")))
    assert [a.address4 for a in host.on("web")] == ["10.2.0.9/24", "10.1.0.2/24"]
    assert [a.ifname for a in host.on("web")] == ["eth0", "eth1"]
    assert [a.fixed for a in host.on("web")] == [(4,), ()]
    assert web.network_mode == "back"
    db = host.run("db", "default", endpoints=(Endpoint(network="app"),))
    assert db.network_mode == "app"
    assert len(host.on("db")) == 1


def test_interface_names_macs_and_aliases(host: Asked) -> None:
    host.network("odd", "fd00:9::/64", ipv4=False, options={"com.docker.network.container_iface_prefix": "net"})
    host.run("web", "app", endpoints=(Endpoint(network="app", ifname="eth1", mac="02-00-00-00-00-AA"),))
    host.connect("web", "back", aliases=("api", "sql", "api"))
    host.connect("web", "odd")
    assert [a.ifname for a in host.on("web")] == ["eth1", "eth0", "net0"]
    assert host.on("web")[0].mac == "02:00:00:00:00:aa"
    assert host.on("web")[1].aliases == ("api", "sql")
    host.disconnect("web", "app")
    host.connect("web", "app")
    assert [a.ifname for a in host.on("web")] == ["eth0", "net0", "eth1"], "the lowest free number"


def test_a_mac_that_somebody_chose_is_not_made_again(host: Asked) -> None:
    host.run("thief", "app", endpoints=(Endpoint(network="app", address4="10.1.0.77", mac="02:42:0a:01:00:02"),))
    host.run("web", "app")
    assert host.on("web")[0].address4 == "10.1.0.2/24"
    assert host.on("web")[0].mac not in ("02:42:0a:01:00:02", "02:42:0a:01:00:4d")


def test_host_none_and_shared(host: Asked) -> None:
    proxy, alone, web = host.run("proxy", "host"), host.run("alone", "none"), host.run("web", "app", hostname="www")
    assert (proxy.sandbox, proxy.hostname) == (Sandbox(path="", owned=False), "")
    assert alone.sandbox.owned
    assert not host.on("proxy")
    assert not host.on("alone")
    side = host.run("side", f"container:{web.id[:12]}")
    assert host.last.touched.containers == frozenset(), "nothing in the kernel is its own"
    assert (side.sandbox, side.shares, side.network_mode) == (web.sandbox, web.id, f"container:{web.id}")
    assert side.hostname == "www"
    host.run("beside", "container:proxy")
    assert host.state.sandbox_holder(web.sandbox) == web.id


def test_one_without_network_may_be_connected(host: Asked) -> None:
    host.run("alone", "none")
    assert host.disconnect("alone", "none").state is host.state
    assert host.connect("alone", "app").address4 == "10.1.0.2/24"
    with pytest.raises(NotFound, match="container alone is not connected to network none"):
        host.disconnect("alone", "none")
    host.disconnect("alone", "app")
    assert not host.on("alone")


def test_docker_s_own_words_for_the_mode_among_the_endpoints(host: Asked) -> None:
    for mode in ("none", "host"):
        host.run(mode, mode, endpoints=(Endpoint(network=mode),))
        assert not host.on(mode)


def test_an_adopted_namespace_is_taken_as_it_is(host: Asked) -> None:
    given = Sandbox(path="/proc/7/ns/net", owned=False, inode=4026531840)
    assert host.run("pod", "app", adopt=given).sandbox == given
    host.remove("pod")
    assert host.run("pod2", "none", adopt=given).sandbox == given


def test_a_pin_outlives_its_name(host: Asked) -> None:
    old = host.run("web", "app")
    host.ask(Rename(container="web", name="old"))
    assert told(host.last) == [("container", "rename", "old")]
    assert host.last.events[0].attributes["oldName"] == "web"
    assert host.state.containers[old.id] == replace(old, name="old")
    assert host.last.touched.containers == frozenset()
    new = host.run("web", "app")
    assert new.sandbox.path == f"/run/netns/netrt-web-{short_id(new.id)}"


def test_generated_names() -> None:
    host = Asked()
    names = [host.run("", "none", generated_name="calm_otter").name for _ in range(3)]
    assert names == ["calm_otter", "calm_otter1", "calm_otter2"]
    nameless = host.run("", "none")
    assert nameless.name == short_id(nameless.id)


def test_a_process_starts_and_dies(host: Asked) -> None:
    web = host.run("web", "none", labels={"tier": "a"})
    (start,) = host.note("web", pid=7, start_ticks=99)
    assert host.last.touched.containers == frozenset()
    assert (start.type, start.action, start.id, start.attributes) == (
        "container",
        "start",
        web.id,
        {"tier": "a", "name": "web"},
    )
    assert host.note("web", pid=7, start_ticks=99) == ()
    (die,) = host.note("web", exit_code=3, finished="2026-01-31T12:00:00Z")
    assert (die.action, die.attributes["exitCode"]) == ("die", "3")
    assert host.note("web", exit_code=3, finished="2026-01-31T12:00:00Z") == ()
    (again,) = host.note("web", exit_code=4, finished="2026-01-31T12:00:01Z")
    assert again.action == "die", "one that was over before it was seen"
    assert host.state.containers[web.id].state.exit_code == 4


def test_a_container_that_runs_has_one_process(host: Asked) -> None:
    """Whoever comes second is refused: another process, a start anew, the end of one that was before. Told twice is told once."""
    web = host.run("web", "none")
    host.note("web", pid=7, start_ticks=99, started="2026-01-31T12:00:01Z")
    before, ended = host.state, {"started": "2026-01-31T12:00:00Z", "finished": "2026-01-31T12:00:01Z"}
    assert host.note("web", pid=7, start_ticks=99, started="2026-01-31T12:00:02Z") == ()
    for other in ({"pid": 8, "start_ticks": 99}, {"pid": 7, "start_ticks": 100}, {**ended, "starting": True}):
        with pytest.raises(InUse, match=r"container web is running already \(pid 7\)"):
            host.note("web", **other)
    with pytest.raises(Conflict, match="process 7 of container web still runs"):
        host.note("web", **ended)
    assert host.state.containers[web.id] == before.containers[web.id]
    (die,) = host.note("web", **ended | {"started": "2026-01-31T12:00:01Z"})
    assert die.action == "die"


def test_a_container_that_is_started_again_has_its_ports_from_then_on(host: Asked) -> None:
    """And where nothing comes of the start, it has ended as before."""
    web = host.run("web", "app", publish=["8080:80"])
    process = replace(web, process=ProcessSpec(command=("true",)))
    host.state = host.state.with_container(process)
    ended = {"exit_code": 3, "finished": "2026-01-31T12:00:00Z"}
    host.note("web", **ended)
    assert not host.state.containers[web.id].held_ports
    assert host.note("web", **ended, starting=True) == ()
    assert host.state.containers[web.id].held_ports == web.ports
    assert host.note("web", **ended) == ()
    assert not host.state.containers[web.id].held_ports


def test_removing(host: Asked) -> None:
    web = host.run("web", "app", publish=["8080:80"])
    host.connect("web", "back")
    host.note("web", pid=7)
    assert told(host.remove("web", force=True)) == [
        ("network", "disconnect", "app"), ("network", "disconnect", "back"), ("container", "destroy", "web")]  # fmt: skip
    assert host.last.touched.containers == {web.id}
    assert host.last.id == web.id
    assert not host.state.ports
    assert host.run("web", "app").id != web.id
    assert host.on("web")[0].address4 == "10.1.0.2/24", "the same name, the same address"


def test_reclaiming_takes_members_along_and_knows_no_strangers(host: Asked) -> None:
    web, db = host.run("web", "app"), host.run("db", "app")
    host.run("side", "container:web")
    host.ask(Reclaim(containers=frozenset({web.id, "0" * 64})))
    assert set(host.state.containers) == {db.id}
    assert told(host.last) == [
        ("network", "disconnect", "app"),
        ("container", "destroy", "web"),
        ("container", "destroy", "side"),
    ]
    assert host.last.touched.containers == {web.id}


def test_disconnecting(host: Asked) -> None:
    web = host.run("web", "app", publish=["8080:80"])
    host.disconnect("web", "app")
    assert told(host.last) == [("network", "disconnect", "app")]
    assert host.last.touched.containers == {web.id}
    assert host.published("web") == ["8080/tcp"], "its ports wait for the next network"
    assert host.disconnect("web", "app", force=True).events == ()
    assert host.connect("web", "app").address4 == "10.1.0.2/24"

"""Operations on the real kernel beyond what the fake knows: refusals in words, sandboxes that vanish, things of others."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from netrt.dataplane import ops
from netrt.dataplane.diff import plan
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import HOST, Address, Element, Link, LinkKind, Pin, Route, Skeleton, Sysctl
from netrt.dataplane.scope import Scope
from netrt.errors import KernelRefused
from netrt.kernel.kernel import LinuxKernel
from netrt.paths import Paths
from tests.contract.boxes import BRIDGE, GATEWAYS, NETWORK, Box, change, up
from tests.contract.test_kernel import ONE, TWO
from tests.host import Host
from tests.waiting import wait_until

pytestmark = pytest.mark.root


def attachment(box: Box) -> HostState:
    """An attached container, whole."""
    return HostState.of(
        [box.pin, replace(box.host, up=True), replace(box.inner, up=True), box.low_ports, box.no_ra],
        [box.address4, box.address6, box.default4, box.default6],
    )


def refusal(kernel: LinuxKernel, *row: ops.Op) -> KernelRefused:
    with pytest.raises(KernelRefused) as refused:
        kernel.apply(row)
    assert "\n" not in str(refused.value)
    return refused.value


# refused


def without_capabilities(work: Callable[[], None]) -> None:
    """Do this as root that has no capability (they belong to a thread, and to the threads that it makes)."""
    errors: list[BaseException] = []

    def body() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.capset(struct.pack("=Ii", 0x20080522, 0), bytes(24)) == 0
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


PORT = Element(table="inet", set="ports4", at=("tcp", "8080"), value=("10.1.0.2", "80"))
EVERY_OP: tuple[ops.Op, ...] = (
    ops.PinNamespace(TWO.pin),
    ops.UnpinNamespace(ONE.pin),
    ops.AddBridge(replace(BRIDGE, name="nrnew")),
    ops.AddVeth(TWO.host, replace(TWO.inner, netns=ONE.pin.path, name="eth1")),
    change(BRIDGE, mtu=1300),
    change(ONE.inner, mtu=1300),
    ops.DelLink(HOST, BRIDGE.name),
    ops.DelLink(ONE.pin.path, "eth0"),
    ops.AddAddress(replace(GATEWAYS[0], address="10.9.0.1/24")),
    ops.AddAddress(replace(ONE.address6, address="fd09::1/64")),
    ops.DelAddress(GATEWAYS[0]),
    ops.DelAddress(ONE.address4),
    ops.SetRoute(replace(ONE.default4, dst="10.9.0.0/24")),
    ops.DelRoute(ONE.default6),
    ops.LoadRuleset(Skeleton(seal="x", text="table inet netrt { comment \"x\"; }"), ()),
    ops.DropRuleset(),
    ops.ChangeElements((), (PORT,)),
    ops.ForgetAddress("10.1.0.2"),
    ops.ForgetUntranslated(frozenset({"10.1.0.2"})),
    ops.ForgetPort("tcp", "", 8080, 8080, "10.1.0.2"),
)  # fmt: skip


@pytest.mark.parametrize("op", EVERY_OP, ids=lambda op: op.describe())
def test_without_privilege_nothing_is_done(kernel: LinuxKernel, op: ops.Op) -> None:
    """Each operation, refused, says what was tried and what would help, and leaves all as it was."""
    kernel.apply([*NETWORK, *ONE.attached()])
    scope = Scope.around(attachment(ONE), everything=True)
    before = kernel.observe(scope)

    def attempt() -> None:
        error = refusal(kernel, op)
        assert error.message.startswith(f"cannot {op.describe()[:60]}")
        if not isinstance(op, ops.LoadRuleset | ops.DropRuleset | ops.ChangeElements):  # libnftables keeps the number
            assert error.errno in (errno.EPERM, errno.EACCES)
            assert "needs root" in error.hint

    without_capabilities(attempt)
    assert kernel.observe(scope) == before


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (change(ONE.inner, mtu=60), "Invalid argument: mtu less than device minimum"),
        (change(ONE.host, master="nrnone"), "No such device: there is no nrnone"),
        (ops.AddBridge(BRIDGE), "File exists (an interface of that name exists already)"),
        (ops.AddAddress(ONE.address4), "(the interface has this address already)"),
        (ops.SetRoute(replace(ONE.default4, dst="10.7.0.0/16", via="10.9.0.1")), "Nexthop has invalid gateway"),
        (ops.SetSysctl(replace(ONE.no_ra, value="banana")), "set net/ipv6/conf/eth0/accept_ra = banana in netrt-1: Invalid"),
        (ops.SetSysctl(replace(ONE.no_ra, name="net/ipv6/conf/eth9/accept_ra")), "(the interface is gone, or"),
        (ops.DelLink(ONE.pin.path, "lo"), "delete link lo in netrt-1: Operation not supported"),
    ],
)  # fmt: skip
def test_the_kernels_own_words(kernel: LinuxKernel, op: ops.Op, words: str) -> None:
    kernel.apply([*NETWORK, *ONE.attached()])
    assert words in str(refusal(kernel, op))


def test_the_first_that_fails_is_named(kernel: LinuxKernel) -> None:
    """All in one sendmsg: what came before is done."""
    kernel.apply([*NETWORK, *ONE.made()])
    other = replace(ONE.address4, address="10.1.0.77/24")
    error = refusal(
        kernel,
        ops.AddAddress(ONE.address4),
        ops.AddAddress(other),
        ops.AddAddress(other),
        change(ONE.inner, mtu=1),
    )
    assert "add address 10.1.0.77/24" in error.message
    seen = kernel.observe(Scope.around([ONE.inner]))
    assert {a.address for a in seen.all(Address)} == {"10.1.0.2/24", "10.1.0.77/24"}


def test_among_links_deleted_at_once_the_right_one_is_named(kernel: LinuxKernel) -> None:
    kernel.apply([*NETWORK, *ONE.made()])
    assert "delete link lo" in refusal(kernel, ops.DelLink(HOST, BRIDGE.name), ops.DelLink(HOST, "lo")).message


def test_a_link_that_cannot_be_marked_is_not_left(kernel: LinuxKernel) -> None:
    """`isolated` is a flag of a port; without a bridge the kernel refuses it after the pair is made."""
    kernel.apply([ops.PinNamespace(ONE.pin)])
    refusal(kernel, ops.AddVeth(replace(ONE.host, master="", isolated=True), ONE.inner))
    assert list(kernel.observe(Scope.around([ONE.host, ONE.inner]))) == []


# gone


def test_a_sandbox_that_vanished(kernel: LinuxKernel) -> None:
    """While nobody held it. Nothing shows, nothing can be put there, and what was to be taken away is away."""
    with closing(LinuxKernel(Paths())) as before:
        before.apply([*NETWORK, *ONE.attached()])
    wanted = attachment(ONE)
    os.system(f"umount -l {ONE.pin.path} && rm {ONE.pin.path}")
    wait_until(lambda: not list(kernel.observe(Scope.around(wanted))), what="the end of the host's end")
    for op in (ops.AddAddress(ONE.address4), ops.SetRoute(ONE.default4), up(ONE.inner), ops.SetSysctl(ONE.no_ra)):
        error = refusal(kernel, op)
        assert "in netrt-1: no network namespace at '/run/netns/netrt-1': No such file or directory" in error.message
    assert "no network namespace" in refusal(kernel, ops.AddVeth(ONE.host, ONE.inner)).message
    kernel.apply(
        [
            ops.DelRoute(ONE.default4),
            ops.DelAddress(ONE.address4),
            ops.DelLink(ONE.pin.path, "eth0"),
            ops.DelLink(HOST, ONE.host.name),
            ops.DelLink(HOST, TWO.host.name),
            ops.UnpinNamespace(ONE.pin),
        ]
    )


def test_deleting_while_the_namespace_ends(kernel: LinuxKernel) -> None:
    """The host's end lives on for tens of ms after its namespace; it may go between our look and our hand, or not."""
    kernel.apply([*NETWORK, *ONE.attached()])
    kernel.apply([ops.UnpinNamespace(ONE.pin), ops.DelLink(HOST, ONE.host.name)])
    assert list(kernel.observe(Scope.around([ONE.host]))) == []


@pytest.mark.parametrize("lead", ["/run/file", "/proc/self/ns/uts", "/proc/self/ns/net"])
def test_a_sandbox_path_that_leads_elsewhere_now(kernel: LinuxKernel, lead: str) -> None:
    Path("/run/file").touch()
    os.symlink(lead, "/run/adopted")
    here = Link(netns="/run/adopted", name="lo", kind=LinkKind.VETH)
    assert list(kernel.observe(Scope.around([here]))) == []
    assert kernel.alive(["/run/adopted"]) == {}
    error = refusal(kernel, ops.AddAddress(Address(netns="/run/adopted", link="lo", address="10.9.0.1/24")))
    assert "network namespace" in error.message


# things of others


def test_a_route_of_somebody_elses_is_not_replaced(host: Host, kernel: LinuxKernel) -> None:
    kernel.apply([*NETWORK, *ONE.attached(), ops.DelRoute(ONE.default4), ops.DelRoute(ONE.default6)])
    host.run("ip", "-n", "netrt-1", "route", "add", "default", "via", "10.1.0.200")
    host.run("ip", "-n", "netrt-1", "route", "add", "::/0", "via", "fd00::200")
    for route in (ONE.default4, ONE.default6):
        assert "a route to there exists that is not ours" in str(refusal(kernel, ops.SetRoute(route)))
    assert "via 10.1.0.200" in host.run("ip", "-n", "netrt-1", "route").stdout
    assert not list(kernel.observe(Scope.around([ONE.default4])).all(Route))


def test_a_link_of_somebody_elses_never_gets_our_mark(host: Host, kernel: LinuxKernel) -> None:
    """A bridge's name may be chosen by a person: `-o com.docker.network.bridge.name=br0`."""
    host.run("ip", "link", "add", "br0", "type", "bridge")
    refusal(kernel, ops.AddBridge(replace(BRIDGE, name="br0")))
    (seen,) = kernel.observe(Scope.around([replace(BRIDGE, name="br0")])).all(Link)
    assert seen.alias == ""


def test_links_of_other_kinds_are_shown_as_such(host: Host, kernel: LinuxKernel) -> None:
    host.run("ip", "tuntap", "add", "mode", "tun", "name", "nrwire")
    host.run("ip", "tuntap", "add", "mode", "tun", "name", "wire")
    host.run("ip", "link", "set", "wire", "alias", "netrt:old")
    wanted = [replace(BRIDGE, name="nrwire")]
    (seen,) = kernel.observe(Scope.around(wanted)).all(Link)
    assert (seen.kind, seen.alias) == (LinkKind.OTHER, "")
    everything = kernel.observe(Scope.around([], everything=True))
    assert {link.name for link in everything.all(Link)} == {"nrwire", "wire"}
    host.run("ip", "link", "add", "theirs", "type", "bridge")
    assert kernel.observe(Scope.around([], everything=True)) == everything


def test_ends_are_paired_by_what_they_are_not_by_name(host: Host, kernel: LinuxKernel) -> None:
    kernel.apply([*NETWORK, *ONE.made(), *TWO.made()])
    host.run("ip", "link", "set", ONE.host.name, "name", "swap")
    host.run("ip", "link", "set", TWO.host.name, "name", ONE.host.name)
    host.run("ip", "link", "set", "swap", "name", TWO.host.name)
    both = kernel.observe(Scope.around([ONE.host, ONE.inner, TWO.host, TWO.inner]))
    assert {link.peer for link in both.all(Link) if link.netns == HOST and link.name == ONE.host.name} == {
        (TWO.pin.path, "eth0")
    }
    assert [link.peer for link in kernel.observe(Scope.around([ONE.host, ONE.inner])).all(Link)] == [None, None]


def test_what_the_kernel_adds_by_itself_is_not_ours(host: Host, kernel: LinuxKernel) -> None:
    kernel.apply([*NETWORK, *ONE.attached()])
    assert "fe80::" in host.run("ip", "-n", "netrt-1", "addr", "show", "eth0").stdout
    assert plan(kernel.observe(Scope.around(attachment(ONE))), attachment(ONE)) == ()


# as a container sees it


def test_an_ipv6_address_is_usable_at_once(host: Host, kernel: LinuxKernel) -> None:
    kernel.apply([*NETWORK, *ONE.attached()])
    with host.inside(ONE.pin.path) as call, call(socket.socket, socket.AF_INET6) as one:
        one.bind(("fd00::2", 80))


def test_a_bridge_keeps_its_mtu_and_mac(host: Host, kernel: LinuxKernel) -> None:
    """Left alone, a bridge follows its smallest port's MTU and its lowest port's MAC."""
    kernel.apply([*NETWORK, ops.PinNamespace(ONE.pin)])
    kernel.apply([ops.AddVeth(replace(ONE.host, mtu=1300), replace(ONE.inner, mtu=1300))])
    host.run("ip", "link", "set", ONE.host.name, "address", "02:00:00:00:00:01")
    assert kernel.observe(Scope.around([BRIDGE])).get(Link, *BRIDGE.key) == replace(BRIDGE, up=True)


def test_hosts_ends_have_no_ipv6_address(host: Host, kernel: LinuxKernel) -> None:
    kernel.apply([*NETWORK, *ONE.attached()])
    assert "inet6" not in host.run("ip", "addr", "show", ONE.host.name).stdout


def test_two_hundred_attachments_leave_nothing(kernel: LinuxKernel) -> None:
    """Open files and threads are the same after as before; and no namespace is held by us."""
    kernel.apply(NETWORK)
    come_and_go(kernel, Box(201))
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(1, 201):
        come_and_go(kernel, Box(number))
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == (files, threads)
    wait_until(lambda: len(kernel.observe(Scope.around([], everything=True))) == 3, what="the end of all namespaces")


def come_and_go(kernel: LinuxKernel, box: Box) -> None:
    kernel.apply(box.attached())
    assert kernel.observe(Scope.around(attachment(box))).get(Link, *box.host.key)
    kernel.apply([ops.UnpinNamespace(box.pin)])


def test_pins_of_others_are_not_ours(host: Host, kernel: LinuxKernel) -> None:
    host.namespace("theirs")
    Path("/run/netns/netrt-file").touch()
    kernel.apply([ops.PinNamespace(ONE.pin)])
    assert list(kernel.observe(Scope.around([], everything=True)).all(Pin)) == [ONE.pin]
    assert list(kernel.alive([ONE.pin.path, "/run/netns/theirs", "/run/netns/netrt-file"])) == [
        ONE.pin.path,
        "/run/netns/theirs",
    ]


def test_settings_are_of_the_namespace_that_they_name(kernel: LinuxKernel) -> None:
    kernel.apply([ops.PinNamespace(ONE.pin), ops.SetSysctl(ONE.low_ports)])
    there, here = ONE.low_ports, replace(ONE.low_ports, netns=HOST)
    seen = kernel.observe(Scope.around([there, here]))
    assert {s.netns: s.value for s in seen.all(Sysctl)} == {ONE.pin.path: "0", HOST: "1024"}

"""The conformance table: each MUST and SHOULD that the CNI specification 1.1.0 has for plugins, and the tests that hold it.

A test is named by its file, without `test_`, and its name, without `test_`. What the specification demands of runtimes is not
here; tests/cni.py does that."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

HELD: dict[str, tuple[str, ...]] = {
    # section 1: configuration
    "name: starts with a letter or digit, then letters, digits, underscore, dot, hyphen": (
        "bad_input.each_field_of_each_configuration", "cni_refused.a_field_that_is_wrong"),
    "type, ipam.type: no characters disallowed in file paths": (
        "bad_input.each_field_of_each_configuration", "cni_refused.a_field_that_is_wrong"),
    "well-known keys (ipMasq, ipam, dns, args, capabilities) keep their meaning": (
        "cni_bridge.containers_reach_each_other_the_host_and_the_outside",
        "cni_bridge.without_masquerade_the_own_address_is_seen",
        "cni_own.names_where_the_network_has_them",
        "cni_chain.the_capability_may_be_that_of_the_bridge",
        "cni_bridge.a_container_shows_in_ps_and_inspect"),
    "the result is in the version of the configuration": ("cni_bridge.each_version", "libcni.a_list_added_checked_and_deleted"),
    # section 2: execution
    "parameters come by environment and standard input": ("bad_input.each_variable", "bad_input.what_is_no_configuration"),
    "CNI_CONTAINERID: not empty; starts with a letter or digit": ("bad_input.each_variable",),
    "CNI_IFNAME: an error where the name cannot be used": (
        "bad_input.each_variable", "cni_bridge.an_interface_that_is_there_already_is_refused"),
    "CNI_ARGS: pairs separated by semicolons": ("bad_input.each_variable", "cni_bridge.a_container_shows_in_ps_and_inspect"),
    "exit status 0 for success and another for failure, then with an error structure": (
        "bad_input.errors_are_one_line_of_json", "cni_refused.a_field_that_is_wrong"),
    # ADD
    "ADD makes the interface, or adjusts it": (
        "cni_bridge.an_interface_with_address_route_and_result", "cni_chain.tuning", "cni_macvlan.on_the_lan"),
    "ADD prints a result": (
        "cni_bridge.an_interface_with_address_route_and_result", "cni_chain.ports_after_somebody_elses_bridge"),
    "prevResult is passed through, or modified": (
        "cni_chain.ports_after_somebody_elses_bridge", "cni_chain.tuning", "podman.reference_plugins_before_and_after"),
    "ADD is an error where an interface of that name is there": (
        "cni_bridge.an_interface_that_is_there_already_is_refused",
        "cni_bridge.a_second_add_says_so_and_changes_nothing"),
    "one container may be on a network twice, by different interface names": (
        "cni_bridge.a_container_on_two_networks_and_twice_on_one",),
    # DEL
    "DEL removes the interface, or undoes what ADD changed": (
        "cni_bridge.nothing_is_left_but_the_network", "cni_del.a_chained_plugin_takes_back_its_own_part"),
    "DEL without prevResult is no error": ("cni_del.a_configuration_that_changed",),
    "DEL is no error where something is missing: namespace, interface, state": (
        "cni_del.without_the_right_namespace", "cni_del.a_namespace_that_is_gone",
        "cni_del.a_namespace_that_lost_its_name", "cni_del.a_path_that_leads_to_another_namespace",
        "cni_del.after_a_reboot", "cni_del.a_configuration_that_is_missing", "cni_del.what_never_was",
        "containerd.containers_come_and_go"),
    "DEL several times is success": ("cni_del.deleted_twice",),
    # CHECK
    "CHECK consults prevResult": ("check.what_the_runtime_remembers_differently", "cni_refused.check_of_what_is_not_there"),
    "CHECK allows for what a later plugin of the chain changed": ("cni_chain.tuning", "check.each_single_thing_that_is_removed"),
    "CHECK is an error where an interface, address or route of the result is missing": (
        "check.each_single_thing_that_is_removed", "check.each_property_of_a_link"),
    "CHECK is an error where firewall rules, traffic shaping or reservations are missing": (
        "check.each_single_thing_that_is_removed", "cni_chain.check_sees_that_a_limit_is_gone",
        "cni_chain.check_sees_each_setting", "cni_chain.host_local_by_itself"),
    "CHECK is an error where the container is known to be unreachable": ("check.each_property_of_a_link",),
    "CHECK may follow ADD at once": ("cni_bridge.each_version", "cni_chain.published_ports"),
    "CHECK asks delegated plugins": ("cni_del.a_delegated_lease_is_given_back_as_it_was_taken",),
    "CHECK prints nothing where all is well": ("check.each_single_thing_that_is_removed",),
    # STATUS
    "STATUS is success where ADD can be served, else an error": ("check.ready", "check.no_address_left_is_50"),
    "STATUS is an error where a daemon is not there, or a resource is exhausted (50, 51)": (
        "check.no_address_left_is_50", "check.a_network_that_is_not_there_is_50",
        "check.a_broken_bridge_is_51_where_containers_suffer_else_50", "check.an_engine_that_ended_is_51"),
    "nothing relies on STATUS, and other operations work after an error of it": ("check.no_address_left_is_50",),
    "STATUS asks delegated plugins, whose error is its error": ("cni_delegated.status_and_gc_reach_delegated_plugins",),
    # VERSION
    "VERSION prints cniVersion and supportedVersions": ("make.install_elsewhere", "cni_program.it_is_found_by_any_link"),
    # GC
    "GC removes all that is not in the list, reservations included": ("cni_del.gc_frees_what_is_not_listed",),
    "GC may assume that namespaces are gone": ("cni_del.gc_with_an_empty_list_and_without_one",),
    "GC goes on after an error, and reports it": ("cni_delegated.status_and_gc_reach_delegated_plugins",),
    "GC is forwarded to delegated plugins": ("cni_delegated.status_and_gc_reach_delegated_plugins",),
    # section 3
    "plugins may run at the same time for different containers": (
        "cni_program.several_at_once_start_one_daemon", "cni_program.many_at_once"),
    # section 4: delegation
    "delegated plugins are looked for in CNI_PATH": (
        "cni_del.a_delegated_lease_is_given_back_as_it_was_taken", "cni_refused.a_field_that_is_wrong"),
    "delegated plugins get the same environment and configuration": ("cni_delegated.they_get_what_we_got",),
    "the standard error output of delegated plugins is that of the caller": (
        "cni_delegated.what_they_complain_of_is_passed_on",),
    "CHECK, DEL and GC run delegated plugins, whose error is returned": (
        "cni_delegated.errors_of_check_and_del_are_passed_on", "cni_delegated.status_and_gc_reach_delegated_plugins"),
    "a delegated plugin that fails in ADD is asked for DEL": ("cni_delegated.status_and_gc_reach_delegated_plugins",),
    # section 5: results
    "a result has cniVersion, interfaces, ips, routes, dns": (
        "cni_bridge.an_interface_with_address_route_and_result", "cni_chain.resolv_conf"),
    "sandbox is the value of CNI_NETNS": ("cni_bridge.an_interface_with_address_route_and_result",),
    "ips[].interface is an index into interfaces": ("cni_bridge.an_interface_with_address_route_and_result",),
    "IPAM plugins return an abbreviated result, without interfaces": ("cni_chain.host_local_by_itself",),
    "an error has cniVersion, code and msg": ("bad_input.errors_are_one_line_of_json",),
    "error 1: incompatible version": ("bad_input.unknown_versions", "cni_refused.what_is_not_for_this_version"),
    "error 2: the message has the key and the value of the unsupported field": ("cni_macvlan.what_cannot_be_had",),
    "error 3: unknown container": ("check.a_container_that_is_not_known",),
    "error 4: the message has the names of the variables": ("bad_input.each_variable", "cni_refused.a_namespace_that_is_none"),
    "error 5: input or output": ("cni_refused.closed_and_broken_standard_input",),
    "error 6: decoding": ("bad_input.what_is_no_configuration",),
    "error 7: invalid configuration": ("bad_input.each_field_of_each_configuration",),
    "error 11: try again later": ("cni_crash.killed_before_each_operation_of_an_add",),
}  # fmt: skip


def there_are() -> set[str]:
    """`file.test` of all that there is."""
    return {
        f"{path.stem.removeprefix('test_')}.{item.name.removeprefix('test_')}"
        for path in TESTS.rglob("test_*.py")
        for item in ast.parse(path.read_text()).body
        if isinstance(item, ast.FunctionDef) and item.name.startswith("test_")
    }


THERE = there_are()


@pytest.mark.parametrize("demand", HELD)
def test_each_demand_is_held(demand: str) -> None:
    assert HELD[demand]
    for name in HELD[demand]:
        assert name in THERE, name

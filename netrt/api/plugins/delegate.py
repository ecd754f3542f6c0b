"""Plugins of others that ours hand work on to: IPAM plugins, found in CNI_PATH and run with the same variables and configuration
that we were called with."""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio.subprocess import PIPE
from collections.abc import Mapping

import msgspec

from netrt.cni.call import Call, Verb
from netrt.cni.refusal import CONFIGURATION, INPUT, Refusal
from netrt.cni.result import Result, read_result

LARGEST_ANSWER = 1 << 20


class _Said(msgspec.Struct, kw_only=True):
    code: int = INPUT
    msg: str = ""
    details: str = ""


async def handed_on(call: Call, kind: str, verb: Verb, text: bytes) -> bytes:
    """Run the plugin `kind` with this configuration; what it printed. Raises Refusal, with its own code where it said one."""
    program = find(kind, call.environment.get("CNI_PATH", ""))
    environment = {"PATH": os.defpath, **call.environment, "CNI_COMMAND": str(verb)}
    try:
        process = await asyncio.create_subprocess_exec(
            program, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, cwd="/", start_new_session=True
        )
    except OSError as error:
        raise Refusal(CONFIGURATION, f"field ipam.type: {program} cannot be run: {error.strerror}") from error
    try:
        output, errors = await process.communicate(text)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    call.heard.append(errors[:LARGEST_ANSWER])
    if process.returncode:
        raise _refusal(kind, verb, output, errors, process.returncode)
    return output[:LARGEST_ANSWER]


async def leased(call: Call, kind: str, text: bytes) -> Result:
    """ADD of an IPAM plugin. Raises Refusal."""
    output = await handed_on(call, kind, Verb.ADD, text)
    return read_result(output, call.version, f"the result of {kind}")


def find(kind: str, path: str) -> str:
    """The plugin's program, in the first directory that has it. Raises Refusal."""
    for directory in path.split(":"):
        program = os.path.join(directory, kind)
        if directory.startswith("/") and os.path.isfile(program) and os.access(program, os.X_OK):
            return program
    raise Refusal(
        CONFIGURATION, f"field ipam.type: there is no plugin {kind}", hint=f"CNI_PATH is {path[:200] or 'empty'}"
    )


def _refusal(kind: str, verb: Verb, output: bytes, errors: bytes, status: int) -> Refusal:
    try:
        said = msgspec.json.decode(output, type=_Said)
    except msgspec.MsgspecError:
        words = errors.decode(errors="replace").strip().splitlines() or [f"exit status {status}"]
        said = _Said(msg=words[-1][:200])
    return Refusal(said.code, f"plugin {kind}, {verb}: {said.msg[:500]}", hint=said.details[:500])


def environment_of(call: Call, container: str, ifname: str) -> Mapping[str, str]:
    """The variables for an attachment that is not the call's own."""
    return {**call.environment, "CNI_CONTAINERID": container, "CNI_IFNAME": ifname, "CNI_NETNS": ""}

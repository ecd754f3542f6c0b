"""Real resolvers, as command lines that print what they found for a name, one address a line, and fail where there is nothing:
glibc's (getent), musl's (a static program, made here), c-ares (by pycares) and dig."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

_MUSL = r"""
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
int main(int argc, char **argv) {
  struct addrinfo hints, *found, *each;
  char text[64];
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = AF_INET;
  if (getaddrinfo(argv[1], 0, &hints, &found)) return 1;
  for (each = found; each; each = each->ai_next) {
    getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, 0, 0, NI_NUMERICHOST);
    puts(text);
  }
  return 0;
}
"""
_CARES = """
import socket, sys, pycares
found = []
channel = pycares.Channel()
channel.getaddrinfo(sys.argv[1], None, family=socket.AF_INET, callback=lambda *said: found.append(said))
assert channel.wait(20)
result, error = found[0]
if error:
    sys.exit(pycares.errno.strerror(error))
print(*(node.addr[0].decode() for node in result.nodes), sep="\\n")
"""


def musl(directory: Path) -> str:
    """The path of a static program that asks by musl's resolver."""
    source, program = directory / "look.c", directory / "look"
    source.write_text(_MUSL)
    cpu = platform.machine()
    library, headers = f"/usr/lib/{cpu}-linux-musl", f"/usr/include/{cpu}-linux-musl"
    argv = ["tcc", "-static", "-nostdinc", "-nostdlib", f"-I{headers}", f"-I/usr/lib/{cpu}-linux-gnu/tcc/include"]
    objects = [f"{library}/crt1.o", f"{library}/crti.o", str(source), f"{library}/libc.a", f"{library}/crtn.o"]
    subprocess.run([*argv, "-o", str(program), *objects], check=True)
    return str(program)


def resolver(name: str, directory: Path) -> tuple[str, ...]:
    """The command line of one of RESOLVERS, to which the name is added that is looked for; `directory` is for what is made."""
    match name:
        case "glibc":
            line = 'found=$(getent ahostsv4 $1) || exit 2; echo "$found" | awk \'$2 == "STREAM" {print $1}\''
        case "musl":
            return (musl(directory),)
        case "c-ares":
            return (sys.executable, "-c", _CARES)
        case _:
            line = 'found=$(dig +short +search $1 A) || exit 2; test -n "$found" && echo "$found"'
    return "sh", "-c", line, "look"


RESOLVERS = ("glibc", "musl", "c-ares", "dig")

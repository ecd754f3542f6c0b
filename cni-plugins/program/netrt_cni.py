"""The CNI program: it hands variables and configuration to netrtd and prints the answer.

All that is known of CNI is known there (netrt/cni); how the two talk is in netrt/api/lane.py. Every attach pays for the start of
this program: so it imports nothing that Python has not loaded anyway, and ends without a farewell. Where no daemon answers,
another program goes on: it starts one, or does the work itself."""

import _socket
import posix
import sys

LARGEST = 8 << 20


def main(home):
    """`home` is where netrt is."""
    name = sys.argv[0].rpartition("/")[2]
    variables = [key + b"=" + value for key, value in posix.environ.items() if key[:4] == b"CNI_" or key == b"PATH"]
    text = read_all()
    body = b"\0".join([name.encode(errors="replace"), *variables]) + b"\0\0" + text
    try:
        answer = ask(body)
    except (FileNotFoundError, ConnectionError):  # nobody is there, or is not any more
        answer = b""
        if posix.environ.get(b"CNI_COMMAND") != b"ADD" or not sent:
            go_on(home, name, text)
    except PermissionError as error:
        fail(106, f"netrtd cannot be reached: {error.strerror}", "be root, or a member of group netrt")
    except OSError:  # nobody can be there, as with a path that is too long for a socket
        answer = b""
        go_on(home, name, text)
    head, _, said = answer.partition(b"\n")
    if missing(answer):
        fail(
            11,
            "netrtd ended before it answered",
            "or is of another version: then restart it; ask for DEL, then try again",
        )
    status, errors, _ = map(int, head.split())
    write(said[:errors], 2)
    write(said[errors:])
    posix._exit(status)


def read_all():
    chunks, size = [], 0
    try:
        while chunk := posix.read(0, 65536):
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST - 65536:
                fail(5, "the configuration is too large", f"at most {LARGEST - 65536} bytes")
    except OSError as error:
        fail(5, f"the standard input cannot be read: {error.strerror}", "the configuration is expected there")
    return b"".join(chunks)


sent = []
"""Not empty once the daemon has the request."""


def ask(body):
    """The daemon's answer as it comes. Raises OSError."""
    root = posix.environ.get(b"NETRT_ROOT")
    peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    peer.connect(root + b"/run/cni.sock" if root else b"/run/netrt/cni.sock")
    peer.sendall(b"%d\n" % len(body) + body)
    sent.append(True)
    answer = b""
    try:
        while missing(answer) and (chunk := peer.recv(65536)):
            answer += chunk
    except ConnectionError:  # it said no before it had heard all
        pass
    if not answer:
        raise ConnectionError
    return answer


def missing(answer):
    """Whether there is to come more of it: it begins with a status, and how much of errors and output there is."""
    head, end, said = answer.partition(b"\n")
    sizes = head.split()[1:]
    return not end or len(sizes) != 2 or sum(map(int, sizes)) > len(said)


def go_on(home, name, text):
    """Become the program that can start a daemon. The configuration, read already, is put before it again."""
    python = home + "/.venv/bin/python"
    again = posix.memfd_create("configuration")
    while text:
        text = text[posix.write(again, text) :]
    posix.lseek(again, 0, 0)
    posix.dup2(again, 0)
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from netrt.daemon.plugin import main; main()"
    try:
        posix.execve(python, [python, "-I", "-c", code, home, name], posix.environ)
    except OSError as error:
        fail(106, "netrtd is not running", f"it cannot be started by {python}: {error.strerror}")


def fail(code, message, details):
    write(f'{{"cniVersion":"1.1.0","code":{code},"msg":"{message}","details":"{details}"}}'.encode())
    posix._exit(1)


def write(text, to=1):
    while text:
        text = text[posix.write(to, text) :]

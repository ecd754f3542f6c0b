"""The application: an HTTP server that says who it is, from which address it was asked, and what the tier behind it said.

`python -m netrt.demo.tier serve NAME` listens on port 80 and asks the address in UPSTREAM, if it is set; `ask URL` asks once. An
answer is a JSON list of hops, the first one nearest to who asked: `[{"tier": "proxy", "client": "192.0.2.2"}, …]`."""

from __future__ import annotations

import http.client
import json
import os
import socket
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

PATIENCE = 2.0
"""Seconds after which an address counts as out of reach."""
OUT_OF_REACH = 3
"""The exit status of `ask` then: another one than that of anything that went wrong."""


class Tier(BaseHTTPRequestHandler):
    """Answers GET with its own hop and those behind it."""

    server: Server

    def do_GET(self) -> None:
        hops = [{"tier": self.server.tier, "client": self.client_address[0].removeprefix("::ffff:")}]
        try:
            behind = ask(os.environ["UPSTREAM"]) if "UPSTREAM" in os.environ else []
            status, answer = 200, json.dumps(hops + behind)
        except OSError as error:
            status, answer = 502, f"{self.server.tier} cannot reach {os.environ['UPSTREAM']}: {error}"
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer.encode())


class Server(socketserver.ThreadingTCPServer):
    """Listens for IPv4 and IPv6 at once. (HTTPServer would first ask DNS for its own name.)"""

    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, tier: str) -> None:
        self.tier = tier
        super().__init__(("::", 80), Tier)


def ask(url: str) -> list[dict[str, str]]:
    """The hops behind `url`. Raises OSError if it is out of reach. (urllib would ask a proxy of the environment's.)"""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=PATIENCE)
    try:
        connection.request("GET", place.path or "/")
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise OSError(text)
        hops: list[dict[str, str]] = json.loads(text)
        return hops
    except http.client.HTTPException as error:
        raise OSError(f"no sense in the answer of {url}: {error}") from error
    finally:
        connection.close()


def main(verb: str, subject: str) -> None:
    """`serve NAME` until killed, or `ask URL` once."""
    if verb == "serve":
        server = Server(subject)
        print(f"{subject} is listening", flush=True)
        server.serve_forever()
    try:
        print(json.dumps(ask(subject)))
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(OUT_OF_REACH)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Questions for names from inside a sandbox, as a client of its server asks them."""

from __future__ import annotations

import socket

import dns.message
import dns.query
from dns.message import Message

from netrt.dns.zone import ADDRESS
from tests.traffic import PATIENT, Place


class Asker(Place):
    """A sandbox that asks the server at its port for names."""

    port = 53

    def socket(self, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        """One that is connected to the server."""
        made = self.open(socket.AF_INET, kind)
        made.settimeout(PATIENT)
        made.connect((ADDRESS, self.port))
        return made

    def ask(
        self, name: str | Message, rdtype: str = "A", *, tcp: bool = False, patience: float = PATIENT, **more: object
    ) -> Message:
        """The answer, which belongs to the question. Raises OSError where nobody is there, dns.exception.Timeout."""
        message = dns.message.make_query(name, rdtype, **more) if isinstance(name, str) else name  # type: ignore[arg-type]
        with self.socket(socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            if tcp:
                return dns.query.tcp(message, ADDRESS, timeout=patience, port=self.port, sock=asking)
            asking.send(message.to_wire())
            asking.settimeout(patience)
            answer = dns.message.from_wire(asking.recv(65535), ignore_trailing=False)
        assert message.is_response(answer)
        return answer

    def looked_up(self, name: str, rdtype: str = "A", **more: object) -> list[str]:
        """The data of the answer, or in its place what is wrong with the question."""
        answer = self.ask(name, rdtype, **more)  # type: ignore[arg-type]
        code = answer.rcode()
        return [str(record) for found in answer.answer for record in found] if code == 0 else [code.name]

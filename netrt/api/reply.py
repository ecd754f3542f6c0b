"""An HTTP answer as it comes. `httptools` reads it: the standard library's client takes 25 ms to import and reads the head of
each answer as it would read an e-mail."""

from __future__ import annotations

from httptools import HttpParserError, HttpResponseParser


class Answer:
    """The head of an answer, and of its body what has come and was not taken yet. `headers` by names in lower case."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.begun = self.ended = False
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Raises ConnectionError for what is no HTTP."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            raise ConnectionError(f"what came is no answer: {error}") from error

    # called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.begun = True

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.ended = True

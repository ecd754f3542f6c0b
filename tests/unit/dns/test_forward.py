"""What is asked of upstreams instead of the client, and what of their replies it gets."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from dns.message import Message

from netrt.dns.forward import Forward, failure, is_reply, relay, truncated
from tests.unit.dns.asking import outcome, query


def forwarded(asked: Message, *, tcp: bool = False) -> Forward:
    found = outcome(asked, tcp=tcp)
    assert isinstance(found, Forward)
    return found


def upstream_reply(asked: Forward, id_: int = 0x4242, addresses: int = 1) -> Message:
    """As an upstream answers to what it got."""
    question = dns.message.from_wire(id_.to_bytes(2, "big") + asked.message[2:])
    reply = dns.message.make_response(question, recursion_available=True)
    rrset = dns.rrset.from_text(question.question[0].name, 60, "IN", "A", *(f"203.0.113.{n}" for n in range(addresses)))
    reply.answer.append(rrset)
    return reply


def test_the_upstream_gets_the_question_and_no_more() -> None:
    asked = query("eXample.com", size=4096, want_dnssec=True, options=[dns.edns.GenericOption(10, b"12345678")])
    asked.flags |= dns.flags.CD | dns.flags.AD | 0x40
    sent = dns.message.from_wire(forwarded(asked).message)
    assert (sent.id, sent.question) == (0, asked.question)
    assert sent.question[0].name.to_text() == "eXample.com."
    assert sent.flags == dns.flags.RD | dns.flags.AD | dns.flags.CD
    assert (sent.edns, sent.payload, sent.ednsflags, sent.options) == (0, 1232, dns.flags.DO, ())


def test_the_upstream_may_send_what_the_client_takes() -> None:
    assert dns.message.from_wire(forwarded(query("example.com")).message).edns == -1
    assert dns.message.from_wire(forwarded(query("example.com", size=600)).message).payload == 600
    assert dns.message.from_wire(forwarded(query("example.com", size=100)).message).payload == 512
    assert forwarded(query("example.com", size=600), tcp=True).limit == 65535


def test_the_client_gets_the_reply_under_its_own_id_and_question() -> None:
    asked = query("eXample.com")
    found = forwarded(asked)
    reply = upstream_reply(found)
    wire = reply.to_wire()
    assert is_reply(found, 0x4242, wire)
    got = dns.message.from_wire(relay(found, wire))
    assert asked.is_response(got)
    assert got.answer == reply.answer
    assert relay(found, wire.replace(b"eXample", b"example"))[12:20] == b"\x07eXample", "in the case in which it asked"


def test_what_is_no_reply_to_it() -> None:
    found = forwarded(query("example.com"))
    wire = upstream_reply(found).to_wire()
    assert is_reply(found, 0x4242, wire)
    assert is_reply(found, 0x4242, wire.replace(b"example", b"EXAMPLE", 1))
    assert not is_reply(found, 0x4243, wire), "another id"
    assert not is_reply(found, 0x4242, wire.replace(b"example", b"exemple")), "another question"
    assert not is_reply(found, 0x4242, wire.replace(b"\x03com\x00\x00\x01", b"\x03com\x00\x00\x1c", 1)), "another type"
    assert not is_reply(found, 0x4242, bytes([wire[0], wire[1], wire[2] & 0x7F]) + wire[3:]), "a question"
    assert not is_reply(found, 0x4242, wire[:4] + b"\x00\x00" + wire[6:]), "an answer without question"
    assert not any(is_reply(found, 0x4242, wire[:length]) for length in range(12 + len(found.question)))
    assert is_reply(found, 0x4242, b"\x42\x42\x80\x01" + bytes(8)), "FORMERR of one who could not read it"
    assert not is_reply(found, 0x4242, b"\x42\x42\x80\x00" + bytes(8)), "nothing at all"


def test_a_refusal_without_the_question_gets_one() -> None:
    asked = query("example.com")
    found = forwarded(asked)
    got = dns.message.from_wire(relay(found, b"\x42\x42\x81\x85" + bytes(8)))
    assert asked.is_response(got)
    assert got.rcode() == dns.rcode.REFUSED


def test_what_is_longer_than_the_client_takes_is_truncated() -> None:
    asked = query("example.com")
    found = forwarded(asked)
    reply = upstream_reply(found, addresses=100)
    got = dns.message.from_wire(relay(found, reply.to_wire()))
    assert asked.is_response(got)
    assert got.flags & dns.flags.TC
    assert not got.answer
    by_tcp = forwarded(asked, tcp=True)
    assert len(dns.message.from_wire(relay(by_tcp, reply.to_wire())).answer[0]) == 100
    assert not truncated(reply.to_wire())
    reply.flags |= dns.flags.TC
    assert truncated(reply.to_wire())


def test_where_nobody_answered() -> None:
    asked = query("example.com")
    got = dns.message.from_wire(failure(forwarded(asked)))
    assert asked.is_response(got)
    assert got.rcode() == dns.rcode.SERVFAIL
    assert got.flags & 0xFFF0 == dns.flags.QR | dns.flags.RD | dns.flags.RA
    assert got.edns == -1
    got = dns.message.from_wire(failure(forwarded(query("example.com", size=1232))))
    assert (got.edns, got.payload) == (0, 1232)

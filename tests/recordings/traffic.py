"""Make the traffic of the demo as a capture file: our own attacks, on addresses that are reserved for documentation.

Needs scapy, which nothing else here does: `pip install scapy && python traffic.py OUT.pcap`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from scapy.all import DNS, DNSQR, IP, TCP, UDP, Ether, Raw, wrpcap

START = 1_778_061_600.0  # 2026-05-06 10:00:00 UTC


def session(
    at: float, client: str, server: str, sport: int, dport: int, talk: list[tuple[str, bytes]]
) -> Iterator[tuple[float, object]]:
    """A whole TCP conversation: handshake, what each side says, and the end."""
    seq, ack, step = 1000, 5000, 0.002
    there, back = IP(src=client, dst=server), IP(src=server, dst=client)
    yield at, there / TCP(sport=sport, dport=dport, flags="S", seq=seq)
    yield at + step, back / TCP(sport=dport, dport=sport, flags="SA", seq=ack, ack=seq + 1)
    seq, ack = seq + 1, ack + 1
    yield at + 2 * step, there / TCP(sport=sport, dport=dport, flags="A", seq=seq, ack=ack)
    at += 3 * step
    for side, words in talk:
        if side == "client":
            yield at, there / TCP(sport=sport, dport=dport, flags="PA", seq=seq, ack=ack) / Raw(words)
            seq += len(words)
        else:
            yield at, back / TCP(sport=dport, dport=sport, flags="PA", seq=ack, ack=seq) / Raw(words)
            ack += len(words)
        at += step
    yield at, there / TCP(sport=sport, dport=dport, flags="FA", seq=seq, ack=ack)
    yield at + step, back / TCP(sport=dport, dport=sport, flags="FA", seq=ack, ack=seq + 1)
    yield at + 2 * step, there / TCP(sport=sport, dport=dport, flags="A", seq=seq + 1, ack=ack + 1)


def guesses_ssh(at: float, attacker: str, server: str, count: int) -> Iterator[tuple[float, object]]:
    """Connection after connection to the SSH server, each as short as a wrong password."""
    for n in range(count):
        talk = [("server", b"SSH-2.0-OpenSSH_9.2\r\n"), ("client", b"SSH-2.0-libssh_0.9.6\r\n")]
        yield from session(at + n * 0.7, attacker, server, 40_000 + n, 22, talk)


def guesses_login(at: float, attacker: str, user: str, count: int) -> Iterator[tuple[float, object]]:
    """Form after form with another password."""
    for n in range(count):
        form = f"user={user}&password=guess{n}".encode()
        head = b"POST /login HTTP/1.1\r\nHost: mail.corp.test\r\nUser-Agent: Mozilla/5.0\r\nContent-Length: %d\r\n\r\n"
        talk = [
            ("client", head % len(form) + form),
            ("server", b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
        ]
        yield from session(at + n * 1.1, attacker, "10.20.0.25", 42_000 + n, 80, talk)


def beacons(at: float, victim: str, controller: str, name: str, count: int) -> Iterator[tuple[float, object]]:
    """An infected machine asks for its orders: by name, then over HTTP."""
    for n in range(count):
        when = at + n * 30.0
        question = DNS(rd=1, id=1000 + n, qd=DNSQR(qname=name))
        yield when, IP(src=victim, dst="10.20.0.2") / UDP(sport=50_000 + n, dport=53) / question
        ask = f"GET /orders?id={n} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: updater-beacon/1.0\r\n\r\n".encode()
        talk = [("client", ask), ("server", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwait")]
        yield from session(when + 0.2, victim, controller, 45_000 + n, 80, talk)


def scan(at: float, scanner: str, ports: range) -> Iterator[tuple[float, object]]:
    """One SYN to port after port."""
    for n, port in enumerate(ports):
        yield at + n * 0.05, IP(src=scanner, dst="10.20.0.11") / TCP(sport=51_000, dport=port, flags="S", seq=n)


def browsing(at: float, client: str, count: int) -> Iterator[tuple[float, object]]:
    """What a SOC does not care about."""
    for n in range(count):
        ask = b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8.5.0\r\n\r\n"
        talk = [("client", ask), ("server", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]
        yield from session(at + n * 9.0, client, "192.0.2.80", 47_000 + n, 80, talk)


def everything() -> list[object]:
    """All of it in the order of time."""
    told = [
        *browsing(0.0, "10.20.0.40", 8),
        *guesses_ssh(3.0, "203.0.113.7", "10.20.0.10", 60),
        *guesses_login(20.0, "203.0.113.150", "alice", 24),
        *beacons(10.0, "10.20.0.31", "198.51.100.9", "orders.badness.example", 4),
        *scan(30.0, "203.0.113.66", range(1, 160)),
        *scan(55.0, "198.51.100.77", range(8000, 8060)),
    ]
    packets = []
    for at, packet in sorted(told, key=lambda one: one[0]):
        framed = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet
        framed.time = START + at
        packets.append(framed)
    return packets


if __name__ == "__main__":
    wrpcap(sys.argv[1], everything())

"""A certificate authority that lives for one test session; the openssl command does the work."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.integrations.support import need

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates that `certificate` vouches for."""

    def __init__(self, folder: Path, name: str) -> None:
        need("openssl")
        folder.mkdir()
        self._folder = folder
        self._pair = self._new(name, "-x509", "-days", "2")
        self.certificate = self._pair.certificate

    def issue(self, name: str, *, extension: str = "basicConstraints=CA:FALSE") -> Pair:
        """A certificate for a client; `extension` names the hosts of a server."""
        pair = self._new(name)
        lines = self._folder / f"{name}.extensions"
        lines.write_text(extension)
        signed = pair.certificate.with_suffix(".signed")
        _openssl(
            "x509", "-req", "-in", pair.certificate, "-CA", self._pair.certificate, "-CAkey", self._pair.key,
            "-CAcreateserial", "-days", "2", "-extfile", lines, "-out", signed,
        )  # fmt: skip
        signed.replace(pair.certificate)
        return pair

    def issue_for_loopback(self, name: str) -> Pair:
        """A certificate for a server on this machine: for its address, not for the name `localhost`."""
        return self.issue(name, extension="subjectAltName=IP:127.0.0.1,DNS:tocsin.test")

    def _new(self, name: str, *more: str) -> Pair:
        """A key with a certificate that it signed itself, or with a request for one."""
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        _openssl("req", *more, *KEY, "-subj", f"/CN={name}", "-keyout", pair.key, "-out", pair.certificate)
        return pair


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)

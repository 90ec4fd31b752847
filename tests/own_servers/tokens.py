"""Tokens as a sign-on service issues them: JSON Web Tokens, signed with RS256 by the openssl command."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.integrations.support import need


class Issuer:
    """Issues tokens; `key_set` is the file by which a server checks them."""

    def __init__(self, folder: Path) -> None:
        need("openssl")
        folder.mkdir()
        self._key = folder / "issuer.key"
        _openssl("genrsa", "-out", str(self._key), "2048")
        modulus = _openssl("rsa", "-in", str(self._key), "-noout", "-modulus").decode().strip().partition("=")[2]
        key = {"kty": "RSA", "kid": "1", "use": "sig", "alg": "RS256", "n": _url(bytes.fromhex(modulus)), "e": "AQAB"}
        self.key_set = folder / "keys.json"
        self.key_set.write_text(json.dumps({"keys": [key]}))

    def token(self, subject: str, *permissions: str, seconds: float = 3600) -> str:
        """A token for somebody who may do this, for so long."""
        claims = {"sub": subject, "permissions": permissions, "exp": int(time.time() + seconds)}
        signed = b".".join(_json(part) for part in ({"alg": "RS256", "typ": "JWT", "kid": "1"}, claims))
        return b".".join(
            (signed, _url(_openssl("dgst", "-sha256", "-sign", str(self._key), given=signed)).encode())
        ).decode()


def _json(value: Any) -> bytes:
    return _url(json.dumps(value).encode()).encode()


def _url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _openssl(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, input=given, timeout=30).stdout

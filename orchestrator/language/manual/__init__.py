"""The page that authors read, made of the models themselves: what it says of a key is what the key is checked by."""

from __future__ import annotations

from orchestrator.language.manual.page import Manual, manual_text

__all__ = ["Manual", "manual_text"]

"""`tocsin shadow`: what would have been done, and whether people agree with it."""

from __future__ import annotations

from cyclopts import App

shadow = App(name="shadow", help="Show what was recorded and not sent, and say whether it would have been right.")

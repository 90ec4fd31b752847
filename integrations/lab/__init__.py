"""The lab: a small service on this machine that plays the products of a SOC.

It is the integration to read before you write one of your own. `product.py` says what the product wants to be
configured with and how a request is authorised. Each other file is a family of capabilities: one function for each,
and for each that changes something how to find out whether a request took effect when its answer was lost. A product
with few capabilities is one file with all of that, such as `openldap.py`.
"""

from integrations.lab import (
    chat,
    cloud,
    directory,
    dns,
    endpoints,
    firewall,
    intelligence,
    mail,
    proxy,
    tickets,
)
from integrations.lab.product import LabConfig, lab

__all__ = [
    "LabConfig",
    "chat",
    "cloud",
    "directory",
    "dns",
    "endpoints",
    "firewall",
    "intelligence",
    "lab",
    "mail",
    "proxy",
    "tickets",
]

"""The lab's intelligence: what its little tables say."""

from __future__ import annotations

from integrations.lab.product import LabCall, get, lab
from orchestrator.contract.capabilities import intel


@lab.reads(intel.lookup_ip)
async def look_up(call: LabCall, want: intel.LookupIp) -> intel.IpReport:
    """An address."""
    return intel.IpReport.model_validate(await get(call, "/intelligence/addresses/{name}", name=want.ip))


@lab.reads(intel.lookup_domain)
async def look_up_domain(call: LabCall, want: intel.LookupDomain) -> intel.DomainReport:
    """A domain, or the one that it lies below."""
    return intel.DomainReport.model_validate(await get(call, "/intelligence/domains/{name}", name=want.domain))


@lab.reads(intel.lookup_url)
async def look_up_url(call: LabCall, want: intel.LookupUrl) -> intel.UrlReport:
    """A page."""
    return intel.UrlReport.model_validate(await get(call, "/intelligence/pages", {"url": want.url}))


@lab.reads(intel.lookup_hash)
async def look_up_hash(call: LabCall, want: intel.LookupHash) -> intel.HashReport:
    """A file."""
    return intel.HashReport.model_validate(await get(call, "/intelligence/hashes/{name}", name=want.hash))

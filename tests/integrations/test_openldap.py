"""OpenLDAP, the real slapd with its password policy: whether an account can sign in is tried by signing in."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest

from integrations.openldap import openldap
from orchestrator.contract import InvalidCall, NotFound, TargetUnavailable, Unauthorized
from tests.integrations.support import Caller, configured, free_port, listens, need, wait_until

CONFIG = """dn: cn=config
objectClass: olcGlobal
cn: config

dn: cn=module,cn=config
objectClass: olcModuleList
cn: module
olcModulepath: /usr/lib/ldap
olcModuleload: back_mdb
olcModuleload: ppolicy

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif
include: file:///etc/ldap/schema/cosine.ldif
include: file:///etc/ldap/schema/inetorgperson.ldif

dn: olcDatabase=mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: mdb
olcDbDirectory: {folder}/db
olcSuffix: dc=corp,dc=test
olcRootDN: cn=admin,dc=corp,dc=test
olcRootPW: adminpw

dn: olcOverlay=ppolicy,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcPPolicyConfig
olcOverlay: ppolicy
olcPPolicyDefault: cn=default,dc=corp,dc=test
"""
PEOPLE = {
    "dc=corp,dc=test": (["dcObject", "organization"], {"o": "corp", "dc": "corp"}),
    "cn=default,dc=corp,dc=test": (["device", "pwdPolicy"], {"pwdAttribute": "userPassword", "pwdLockout": "TRUE"}),
    "ou=a,dc=corp,dc=test": (["organizationalUnit"], {"ou": "a"}),
    "uid=bob,dc=corp,dc=test": (["inetOrgPerson"], {"sn": "b", "cn": "bob", "userPassword": "bobpw"}),
    "uid=twin,dc=corp,dc=test": (["inetOrgPerson"], {"sn": "t", "cn": "twin", "userPassword": "x"}),
    "uid=twin,ou=a,dc=corp,dc=test": (["inetOrgPerson"], {"sn": "t", "cn": "twin", "userPassword": "x"}),
    "uid=*,dc=corp,dc=test": (["inetOrgPerson"], {"sn": "s", "cn": "star", "userPassword": "starpw"}),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A slapd on a free port with a few people in it."""
    need("slapd", "slapadd")
    folder: Path = tmp_path_factory.mktemp("slapd")
    for name in ("conf", "db"):
        (folder / name).mkdir()
    (folder / "init.ldif").write_text(CONFIG.format(folder=folder))
    path = {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin"}
    subprocess.run(
        ["slapadd", "-n0", "-F", folder / "conf", "-l", folder / "init.ldif"], check=True, env=path, capture_output=True
    )
    port = free_port()
    address = f"ldap://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            ["slapd", "-F", folder / "conf", "-h", address, "-d", "0"], env=path, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: listens(port), seconds=10, process=server)
        admin = ldap3.Connection(address, "cn=admin,dc=corp,dc=test", "adminpw", auto_bind=True)
        for dn, (classes, attributes) in PEOPLE.items():
            assert admin.add(dn, classes, attributes), admin.result
        admin.unbind()
        yield address
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def call(url: str) -> Caller:
    """The integration, configured for that server."""
    return Caller(configured(openldap, **settings(url)))


def settings(url: str) -> dict[str, str]:
    return {"url": url, "bind_dn": "cn=admin,dc=corp,dc=test", "password": "adminpw", "base_dn": "dc=corp,dc=test"}


def signs_in(url: str, dn: str, password: str) -> bool:
    return bool(ldap3.Connection(url, dn, password).bind())


async def test_a_disabled_account_cannot_sign_in_and_an_enabled_one_can(call: Caller, url: str) -> None:
    """Seen from the side of the person: the password works, then it does not, then it does."""
    bob = "uid=bob,dc=corp,dc=test"
    assert signs_in(url, bob, "bobpw")

    disabled = await call("identity.disable_account", account="bob")
    assert not disabled.enabled
    assert disabled.id == bob
    assert not signs_in(url, bob, "bobpw")

    enabled = await call("identity.enable_account", account="bob")
    assert enabled.enabled
    assert signs_in(url, bob, "bobpw")


async def test_doing_it_again_changes_nothing(call: Caller) -> None:
    """Disable twice, enable twice: the state is what was asked for, without an error."""
    for _ in range(2):
        assert not (await call("identity.disable_account", account="bob")).enabled
    for _ in range(2):
        assert (await call("identity.enable_account", account="BOB")).enabled
    assert (await call("identity.account_state", account="bob")).enabled


async def test_a_lock_that_would_end_by_itself_becomes_one_that_does_not(call: Caller, url: str) -> None:
    """Locked by wrong passwords is not yet disabled; an account that is disabled stays so."""
    admin = ldap3.Connection(url, "cn=admin,dc=corp,dc=test", "adminpw", auto_bind=True)
    bob = "uid=bob,dc=corp,dc=test"
    admin.modify(bob, {"pwdAccountLockedTime": [(ldap3.MODIFY_REPLACE, ["20260506100000Z"])]})

    await call("identity.disable_account", account="bob")

    admin.search(bob, "(objectClass=*)", ldap3.BASE, attributes=["pwdAccountLockedTime"])
    assert admin.response[0]["raw_attributes"]["pwdAccountLockedTime"] == [b"000001010000Z"]
    await call("identity.enable_account", account="bob")


async def test_a_name_is_never_a_pattern(call: Caller, url: str) -> None:
    """The account `*` is one account, not everybody."""
    await call("identity.disable_account", account="*")

    assert signs_in(url, "uid=bob,dc=corp,dc=test", "bobpw")
    assert not signs_in(url, "uid=\\2a,dc=corp,dc=test", "starpw")


async def test_an_unknown_account_and_an_ambiguous_one_are_refused(call: Caller) -> None:
    """No account is made, and nobody is hit by chance."""
    with pytest.raises(NotFound):
        await call("identity.disable_account", account="nobody")
    with pytest.raises(InvalidCall, match="several"):
        await call("identity.disable_account", account="twin")


async def test_wrong_credentials_and_a_dead_server_are_told_apart(url: str) -> None:
    """The first will not get better by waiting, the second may; neither text carries the password."""
    wrong = Caller(configured(openldap, **{**settings(url), "password": "hunter2"}))
    with pytest.raises(Unauthorized) as refused:
        await wrong("identity.account_state", account="bob")
    assert "hunter2" not in str(refused.value)

    dead = Caller(configured(openldap, **settings(f"ldap://127.0.0.1:{free_port()}")))
    with pytest.raises(TargetUnavailable) as away:
        await dead("identity.disable_account", account="bob")
    assert not away.value.in_doubt

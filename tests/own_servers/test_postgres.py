"""A PostgreSQL of the user's own, with TLS and a password or a certificate: everything flows, mistakes are named."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import text

from orchestrator.audit.database import greet, make_engine, single_statement
from orchestrator.errors import SettingsError, StackError
from orchestrator.local.endpoints import Endpoints
from orchestrator.local.lab import Lab
from orchestrator.local.prepare import migrate
from orchestrator.settings import Settings
from tests.integrations.support import free_port
from tests.own_servers.certificates import Authority
from tests.own_servers.flow import PLAYBOOKS, assert_everything_flows, assert_refused, lab_settings
from tests.own_servers.postgres import PASSWORD, SecuredPostgres, secured_postgres
from tests.site import Site, make_site, on_the_test_servers

pytestmark = pytest.mark.timeout(300)  # a server that starts, and many processes of the command
ENCODED = quote(PASSWORD, safe="")
WHO = "SELECT current_user, ssl, coalesce(client_dn, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
async def postgres(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> AsyncIterator[SecuredPostgres]:
    """The server, with a user who has a password and one who has a certificate, each with an empty database."""
    async with secured_postgres(tmp_path_factory.mktemp("pg") / "s", authority) as server:
        for user in ("tocsin", "certified"):
            await server.add_user(user)
            await server.add_database(user, user)
        yield server


def url(server: SecuredPostgres, user: str = f"tocsin:{ENCODED}", host: str = "127.0.0.1", **query: object) -> str:
    """An address in libpq's form; verified in full unless `query` says otherwise."""
    asked = {"sslmode": "verify-full", "sslrootcert": server.authority.certificate} | query
    parameters = "&".join(f"{name}={value}" for name, value in asked.items() if value is not None)
    return f"postgresql://{user}@{host}:{server.port}/{user.partition(':')[0]}?{parameters}"


@pytest.fixture
def site(postgres: SecuredPostgres, settings: Settings, lab: Lab, tmp_path: Path) -> Site:
    """A site whose ledger and audit stand there."""
    servers = on_the_test_servers(settings) | {"database": {"url": url(postgres)}}
    return make_site(tmp_path / "site", PLAYBOOKS, {**servers, **lab_settings(lab)})


async def test_everything_flows_with_a_password_over_tls(
    site: Site, postgres: SecuredPostgres, settings: Settings, lab: Lab
) -> None:
    """PostgreSQL 15, its certificate verified; `tocsin up` makes the tables, with no rights but the database's owner's.

    Before that, one line says what is missing.
    """
    await assert_refused(site, ("serve",), "database.url: Tocsin's tables are not there; `tocsin up` makes them")
    made = await site.tocsin("up")
    assert made.returncode == 0, made.stderr
    engine = make_engine(url(postgres))
    await assert_everything_flows(site, engine, settings, lab)
    async with single_statement(engine) as connection:
        assert tuple((await connection.execute(text(WHO))).one()) == ("tocsin", True, "")
    await engine.dispose()


async def test_a_certificate_of_ours_is_shown(postgres: SecuredPostgres, authority: Authority) -> None:
    """Mutual TLS, without a password."""
    ours = authority.issue("certified")
    address = url(postgres, "certified", sslcert=ours.certificate, sslkey=ours.key)
    await migrate(address)
    engine = make_engine(address)
    async with single_statement(engine) as connection:
        assert tuple((await connection.execute(text(WHO))).one()) == ("certified", True, "/CN=certified")
    await engine.dispose()


@pytest.mark.parametrize("command", [("serve",), ("approvals",), ("audit", "show", "x"), ("up",)], ids=" ".join)
async def test_every_command_says_what_postgres_does_not_take(
    site: Site, postgres: SecuredPostgres, command: tuple[str, ...]
) -> None:
    """One line at once, and exit code 2."""
    says = 'does not let us in: password authentication failed for user "tocsin"'
    await assert_refused(site, command, says, TOCSIN_DATABASE__URL=url(postgres, "tocsin:hunter2"))


async def test_what_is_wrong_with_the_address_is_named(
    postgres: SecuredPostgres, authority: Authority, stack: Endpoints, tmp_path: Path
) -> None:
    """Form, file, authority, name, TLS, user, database, certificate; never with the password."""
    stranger = Authority(tmp_path / "other", "Somebody else")
    strange, ours = stranger.issue("certified"), authority.issue("certified")
    local = stack.database.replace("postgresql+asyncpg", "postgresql")
    for says, address in (
        ("it looks like postgresql://user:password@host:5432/name", "mysql://a:hunter2@h/d"),
        ("it looks like postgresql://user:password@host:5432/name", "a:hunter2@h/d"),
        ("sslrootcert names /nowhere, and there is no such file", url(postgres, sslrootcert="/nowhere")),
        ("is not whom sslrootcert vouches for", url(postgres, sslrootcert=stranger.certificate)),
        ("Hostname mismatch", url(postgres, host="localhost")),
        ("`sslmode` parameter must be one of", url(postgres, sslmode="on")),
        ("they are those of libpq, such as sslmode", url(postgres, ssl="require")),
        ("no encryption", url(postgres, sslmode="disable")),
        ("has no TLS, and sslmode asks for it", local + "?sslmode=require"),
        ('user "nobody"', url(postgres, "nobody:hunter2")),
        ('database "none" does not exist', url(postgres).replace("/tocsin?", "/none?")),
        ("a valid client certificate", url(postgres, "certified")),
        ("it may not take sslcert", url(postgres, "certified", sslcert=strange.certificate, sslkey=strange.key)),
        ("sslcert and sslkey do not fit", url(postgres, "certified", sslcert=ours.certificate, sslkey=strange.key)),
        ("sslcert and sslkey do not fit", url(postgres, "certified", sslcert=ours.key, sslkey=ours.key)),
    ):
        with pytest.raises(SettingsError, match=r"database\.url: .*" + re.escape(says)) as refused:
            await greet(make_engine(address))
        assert "hunter2" not in str(refused.value)


async def test_a_server_that_is_away_is_no_mistake() -> None:
    """Whoever needs it waits for it."""
    assert not await greet(make_engine(f"postgresql://a:b@127.0.0.1:{free_port()}/d"))


async def test_a_user_who_may_not_make_the_tables_is_told(postgres: SecuredPostgres) -> None:
    """With the right that is missing, in Postgres' words."""
    await postgres.add_database("theirs", "postgres")
    with pytest.raises(StackError, match="permission denied for database theirs"):
        await migrate(url(postgres).replace("/tocsin?", "/theirs?"))

"""Settings: names and values from the environment.

Every name that begins with RATESTREAM_ is known here or is an error: a setting that is misspelt would otherwise be a
setting that nobody obeys. Names beginning with RATESTREAM_TEST_ belong to the tests, and so does RATESTREAM_CASES.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from agents.errors import SettingError

PREFIX = "RATESTREAM_"
TEST_PREFIX = "RATESTREAM_TEST_"
TEST_CASES = "RATESTREAM_CASES"

DATA = "RATESTREAM_DATA"
TARIFFS = "RATESTREAM_TARIFFS"
ACCOUNTS = "RATESTREAM_ACCOUNTS"
TENANT = "RATESTREAM_TENANT"
CLICKHOUSE = "RATESTREAM_CLICKHOUSE"

NAMES: Mapping[str, str] = {
    DATA: "the data directory",
    TARIFFS: "the tariff file, or a directory of them",
    ACCOUNTS: "the account file, or a directory of them",
    TENANT: "the tenant of an account that is asked about",
    CLICKHOUSE: "http(s)://user:password@host:port of a ClickHouse server, in place of the embedded one",
}
"""Every name and what it says."""

_SCHEMES = frozenset({"http", "https"})


def check_names(environment: Mapping[str, str]) -> None:
    """Raises SettingError for a name that looks like a setting and is none."""
    unknown = [
        name
        for name in sorted(environment)
        if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX) and name not in {*NAMES, TEST_CASES}
    ]
    if unknown:
        from schemas.problem import nearest

        told = (f"{name} is no setting: {nearest(name, NAMES)}" for name in unknown)
        raise SettingError("\n".join(told) + "\nCorrect the environment, or unset it.")


def clickhouse_dsn(environment: Mapping[str, str]) -> str:
    """The ClickHouse server to use; "" for the embedded one. Raises SettingError, which never tells the password.

    >>> clickhouse_dsn({}), clickhouse_dsn({CLICKHOUSE: "http://me:secret@db:8123"})
    ('', 'http://me:secret@db:8123')
    """
    dsn = environment.get(CLICKHOUSE, "")
    if dsn and not _is_server(dsn):
        raise SettingError(f"{CLICKHOUSE} names no server. Write http://user:password@host:port, or https://...")
    return dsn


def _is_server(dsn: str) -> bool:
    try:
        parts = urlsplit(dsn)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False

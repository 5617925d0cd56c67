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
BROKERS = "RATESTREAM_BROKERS"
TOPIC_PREFIX = "RATESTREAM_PREFIX"
SECURITY = "RATESTREAM_SECURITY"
ALLOW_SASL_WITHOUT_TLS = "RATESTREAM_ALLOW_SASL_WITHOUT_TLS"
SASL_MECHANISM = "RATESTREAM_SASL_MECHANISM"
SASL_USERNAME = "RATESTREAM_SASL_USERNAME"
SASL_PASSWORD = "RATESTREAM_SASL_PASSWORD"  # noqa: S105 - a name
SASL_PASSWORD_FILE = "RATESTREAM_SASL_PASSWORD_FILE"  # noqa: S105 - a name
SASL_TOKEN_FILE = "RATESTREAM_SASL_TOKEN_FILE"  # noqa: S105 - a name
TLS_CA = "RATESTREAM_TLS_CA"
TLS_CERT = "RATESTREAM_TLS_CERT"
TLS_KEY = "RATESTREAM_TLS_KEY"
TLS_KEY_PASSWORD = "RATESTREAM_TLS_KEY_PASSWORD"  # noqa: S105 - a name
SESSION_TIMEOUT_S = "RATESTREAM_SESSION_TIMEOUT_S"
TICK_S = "RATESTREAM_TICK_S"
PROCESSES = "RATESTREAM_PROCESSES"
QUARANTINE_AFTER = "RATESTREAM_QUARANTINE_AFTER"
SCHEMA_REGISTRY = "RATESTREAM_SCHEMA_REGISTRY"
SINK_ROWS = "RATESTREAM_SINK_ROWS"
SINK_WAIT_S = "RATESTREAM_SINK_WAIT_S"

NAMES: Mapping[str, str] = {
    DATA: "the data directory",
    TARIFFS: "the tariff file, or a directory of them",
    ACCOUNTS: "the account file, or a directory of them",
    TENANT: "the tenant of an account that is asked about",
    CLICKHOUSE: "http(s)://user:password@host:port of a ClickHouse server, or chdb:///directory of an embedded one",
    BROKERS: "host:port of one or more Kafka brokers, with commas between",
    TOPIC_PREFIX: "what the names of all topics begin with; ratestream. by default",
    SECURITY: "plaintext (the default), ssl, sasl-ssl or sasl-plaintext",
    ALLOW_SASL_WITHOUT_TLS: "yes: credentials may go over the network unencrypted",
    SASL_MECHANISM: "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
    SASL_USERNAME: "the name that the brokers know this process by",
    SASL_PASSWORD: "its password",
    SASL_PASSWORD_FILE: "a file that holds the password, in place of the setting",
    SASL_TOKEN_FILE: "a file that holds the bearer token, read anew at each authentication",
    TLS_CA: "PEM file: the authority that signed the brokers' certificates, in place of the system's",
    TLS_CERT: "PEM file: the certificate of this process (mTLS)",
    TLS_KEY: "PEM file: the key of that certificate, where it is not in the same file",
    TLS_KEY_PASSWORD: "the password of that key",
    SCHEMA_REGISTRY: "http(s)://user:password@host:port of a schema registry like Confluent's, for framed Avro",
    SESSION_TIMEOUT_S: "how many seconds a worker may be silent before others get its partitions; 10 by default",
    PROCESSES: "of how many processes a worker is; 1 by default, and one for each core is right",
    TICK_S: "every how many seconds a worker looks for silent accounts to close; 900 by default",
    QUARANTINE_AFTER: "so many rejections of a source in a row cut it off; 1000 by default, 0 never",
    SINK_ROWS: "so many messages of a partition the sink inserts at once, at most; 50000 by default",
    SINK_WAIT_S: "how many seconds the sink waits for more before it inserts what there is; 1 by default",
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
    """The ClickHouse to use, "" where none is named. Raises SettingError, which never tells the password.

    >>> clickhouse_dsn({}), clickhouse_dsn({CLICKHOUSE: "http://me:secret@db:8123"})
    ('', 'http://me:secret@db:8123')
    >>> clickhouse_dsn({CLICKHOUSE: "chdb:///var/lib/ratestream/clickhouse"})
    'chdb:///var/lib/ratestream/clickhouse'
    """
    dsn = environment.get(CLICKHOUSE, "")
    if dsn and not (_is_server(dsn) or _is_embedded(dsn)):
        raise SettingError(
            f"{CLICKHOUSE} names no ClickHouse. Write http://user:password@host:port, https://..., or "
            "chdb:///directory with an absolute path for an embedded one."
        )
    return dsn


def stored_in(environment: Mapping[str, str]) -> str:
    """The ClickHouse of a command that cannot do without one. Raises SettingError."""
    dsn = clickhouse_dsn(environment)
    if not dsn:
        raise SettingError(
            f"{CLICKHOUSE} is not set. Write http://user:password@host:port of a ClickHouse server, or "
            "chdb:///directory of an embedded one."
        )
    return dsn


def sink_rows(environment: Mapping[str, str]) -> int:
    """How many messages of a partition are inserted at once, at most. Raises SettingError."""
    return _whole(environment, SINK_ROWS, 50_000, range(1, 1_000_001))


def sink_wait_s(environment: Mapping[str, str]) -> int:
    """How long the first message of an insert waits for more. Raises SettingError."""
    return _whole(environment, SINK_WAIT_S, 1, range(1, 3_601))


def session_timeout_s(environment: Mapping[str, str]) -> float:
    """How long a worker may be silent before the others get its partitions, in seconds. Raises SettingError.

    >>> session_timeout_s({}), session_timeout_s({SESSION_TIMEOUT_S: "30"})
    (10.0, 30.0)
    """
    return float(_whole(environment, SESSION_TIMEOUT_S, 10, range(6, 301)))


def tick_s(environment: Mapping[str, str]) -> int:
    """Every how many seconds silent accounts are looked for. Raises SettingError."""
    return _whole(environment, TICK_S, 900, range(1, 86_401))


def quarantine_after(environment: Mapping[str, str]) -> int:
    """How many rejections of a source in a row cut it off; 0 is never. Raises SettingError."""
    return _whole(environment, QUARANTINE_AFTER, 1_000, range(1_000_000_001))


def _whole(environment: Mapping[str, str], name: str, default: int, allowed: range) -> int:
    said = environment.get(name, "") or str(default)
    if not (said.isascii() and said.isdigit() and int(said) in allowed):
        raise SettingError(f"{name}: {said!r:.20} is no whole number from {allowed[0]} to {allowed[-1]}.")
    return int(said)


def _is_embedded(dsn: str) -> bool:
    return dsn.startswith("chdb:///") and len(dsn) > len("chdb:///") and "?" not in dsn


def _is_server(dsn: str) -> bool:
    try:
        parts = urlsplit(dsn)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False

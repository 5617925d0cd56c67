"""Settings of the brokers and of security: what each client gets, what is refused, and that no secret shows."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.abc import AbstractTokenProvider as AsyncTokenProvider
from kafka.net.sasl.oauth import AbstractTokenProvider

from agents.errors import BrokerError, SettingError
from agents.settings import NAMES, check_names
from agents.stream.brokers import reach
from agents.stream.connection import connection
from agents.stream.security import Secret

SECRET = "correct-horse-battery"  # noqa: S105 - the tests look for it where it must not be

BROKERS = {"RATESTREAM_BROKERS": "one:9092,two:9092"}
LOGIN = {
    **BROKERS,
    "RATESTREAM_SECURITY": "sasl-ssl",
    "RATESTREAM_SASL_MECHANISM": "SCRAM-SHA-512",
    "RATESTREAM_SASL_USERNAME": "me",
    "RATESTREAM_SASL_PASSWORD": SECRET,
}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    return file


def with_token(file: Path) -> dict[str, str]:
    return {
        **BROKERS,
        "RATESTREAM_SECURITY": "sasl-ssl",
        "RATESTREAM_SASL_MECHANISM": "OAUTHBEARER",
        "RATESTREAM_SASL_TOKEN_FILE": str(file),
    }


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(SettingError) as caught:
        connection(environment)
    told = str(caught.value)
    assert SECRET not in told
    return told


def test_without_security_clients_get_the_brokers_and_nothing_else() -> None:
    made = connection(BROKERS)
    assert made.prefix == "ratestream."
    plain = {"bootstrap_servers": ["one:9092", "two:9092"], "security_protocol": "PLAINTEXT"}
    assert made.for_aiokafka() == plain
    assert made.for_kafka_python() == plain
    assert made.for_faust("mine") == {"broker": ["mine://one:9092", "mine://two:9092"], "broker_credentials": None}


def test_a_login_is_told_to_each_client() -> None:
    made = connection(LOGIN)
    keywords = made.for_aiokafka()
    assert keywords == made.for_kafka_python()
    assert keywords["security_protocol"] == "SASL_SSL"
    assert keywords["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (keywords["sasl_plain_username"], keywords["sasl_plain_password"].encode()) == ("me", SECRET.encode())
    assert isinstance(keywords["ssl_context"], ssl.SSLContext)


def test_tls_checks_the_certificate_and_the_host() -> None:
    context = connection({**BROKERS, "RATESTREAM_SECURITY": "ssl"}).for_aiokafka()["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_signs_of_scram_are_escaped_where_the_client_leaves_them() -> None:
    made = connection({**LOGIN, "RATESTREAM_SASL_USERNAME": "a=b,c"})
    assert made.for_kafka_python()["sasl_plain_username"] == "a=3Db=2Cc"
    assert made.for_aiokafka()["sasl_plain_username"] == "a=b,c"
    plain = connection({**LOGIN, "RATESTREAM_SASL_USERNAME": "a=b,c", "RATESTREAM_SASL_MECHANISM": "PLAIN"})
    assert plain.for_kafka_python()["sasl_plain_username"] == "a=b,c"


def test_a_token_is_read_anew_at_each_authentication(token_file: Path) -> None:
    made = connection(with_token(token_file))
    provider, async_provider = (
        keywords["sasl_oauth_token_provider"] for keywords in (made.for_kafka_python(), made.for_aiokafka())
    )
    assert isinstance(provider, AbstractTokenProvider)
    assert isinstance(async_provider, AsyncTokenProvider)
    assert f"{provider.token()}" == SECRET
    token_file.write_text("another", encoding="utf-8")
    assert f"{provider.token()} {asyncio.run(async_provider.token())}" == "another another"
    token_file.unlink()
    with pytest.raises(SettingError, match="RATESTREAM_SASL_TOKEN_FILE: No such file or directory"):
        provider.token()


@pytest.mark.parametrize("way", ["plaintext", "ssl", "password", "token"])
def test_faust_hands_its_client_the_same(way: str, token_file: Path) -> None:
    from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

    environment = {
        "plaintext": BROKERS,
        "ssl": {**BROKERS, "RATESTREAM_SECURITY": "ssl"},
        "password": LOGIN,
        "token": with_token(token_file),
    }[way]
    made = connection(environment)
    given = dict(credentials_to_aiokafka_auth(made.for_faust()["broker_credentials"]))
    wanted = made.for_aiokafka()
    del wanted["bootstrap_servers"]
    for keywords in (given, wanted):  # providers are made for one client each
        keywords["sasl_oauth_token_provider"] = type(keywords.get("sasl_oauth_token_provider"))
    assert given == wanted


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_password_may_stand_in_a_file(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(SECRET.encode() + ending.encode())
    environment = {**LOGIN, "RATESTREAM_SASL_PASSWORD": "", "RATESTREAM_SASL_PASSWORD_FILE": str(file)}
    assert connection(environment).for_aiokafka()["sasl_plain_password"].encode() == SECRET.encode()


@pytest.mark.parametrize("brokers", ["h:1", "[::1]:9092", "a.b-c:65535", " h:1 , i:2 "])
def test_addresses_of_brokers(brokers: str) -> None:
    assert connection({"RATESTREAM_BROKERS": brokers}).brokers == tuple(part.strip() for part in brokers.split(","))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"RATESTREAM_BROKERS": " "}, "RATESTREAM_BROKERS is not set"),
        ({"RATESTREAM_BROKERS": "one"}, "number 1 of 1 is not host:port"),
        ({"RATESTREAM_BROKERS": "one:9092,"}, "number 2 of 2 is not host:port"),
        ({"RATESTREAM_BROKERS": "one:0"}, "is not host:port"),
        ({"RATESTREAM_BROKERS": "one:65536"}, "is not host:port"),
        ({"RATESTREAM_BROKERS": "::1:9092"}, "is not host:port"),
        ({"RATESTREAM_BROKERS": "a..b:9092"}, "is not host:port"),
        ({"RATESTREAM_BROKERS": f"kafka://me:{SECRET}@one:9092"}, "credentials have settings of their own"),
        ({"RATESTREAM_PREFIX": "a b"}, "'a b' cannot begin the name of a topic"),
        ({"RATESTREAM_PREFIX": "a" * 201}, "up to 200 ASCII letters"),
        ({"RATESTREAM_SECURITY": "tls"}, "write one of plaintext, ssl, sasl-plaintext, sasl-ssl"),
        ({"RATESTREAM_SECURITY": "sasl-plaintext"}, "Write sasl-ssl; or, where the network is trusted"),
        ({"RATESTREAM_ALLOW_SASL_WITHOUT_TLS": "true"}, "write yes, or unset it"),
        ({"RATESTREAM_SECURITY": ""}, "RATESTREAM_SASL_PASSWORD: nothing would obey it with RATESTREAM_SECURITY=plain"),
        ({"RATESTREAM_SECURITY": "ssl"}, "Write RATESTREAM_SECURITY=sasl-ssl, or unset it"),
        ({"RATESTREAM_SASL_MECHANISM": ""}, "write one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"),
        ({"RATESTREAM_SASL_MECHANISM": "GSSAPI"}, "write one of PLAIN"),
        ({"RATESTREAM_SASL_USERNAME": ""}, "RATESTREAM_SASL_USERNAME is not set"),
        ({"RATESTREAM_SASL_USERNAME": "m\udcff"}, "RATESTREAM_SASL_USERNAME: it is not UTF-8"),
        ({"RATESTREAM_SASL_PASSWORD": ""}, "are not set. Write one of them"),
        ({"RATESTREAM_SASL_PASSWORD": f"{SECRET}\udcff"}, "RATESTREAM_SASL_PASSWORD: it is not UTF-8"),
        ({"RATESTREAM_SASL_PASSWORD_FILE": SECRET}, "are both set. Write one of them"),
        (
            {"RATESTREAM_SASL_PASSWORD": "", "RATESTREAM_SASL_PASSWORD_FILE": SECRET},
            "RATESTREAM_SASL_PASSWORD_FILE: No such file or directory",
        ),
        ({"RATESTREAM_SASL_TOKEN_FILE": SECRET}, "nothing would obey it with SCRAM-SHA-512"),
        ({"RATESTREAM_SASL_MECHANISM": "OAUTHBEARER"}, "nothing would obey it with OAUTHBEARER"),
        ({"RATESTREAM_TLS_CA": SECRET}, "RATESTREAM_TLS_CA: No such file or directory"),
        ({"RATESTREAM_TLS_KEY": __file__}, "Write RATESTREAM_TLS_CERT, the certificate of this process, too"),
        ({"RATESTREAM_TLS_KEY_PASSWORD": SECRET}, "nothing would obey it with no RATESTREAM_TLS_CERT"),
        ({"RATESTREAM_TLS_CA": __file__}, "RATESTREAM_TLS_CA: no certificate or crl found"),
        ({"RATESTREAM_TLS_CERT": __file__}, "Write the paths of PEM files"),
    ],
)
def test_what_is_wrong_is_refused_with_what_to_write(settings: dict[str, str], told: str) -> None:
    assert told in refusal({**LOGIN, **settings})


@pytest.mark.parametrize("security", ["plaintext", "sasl-plaintext"])
def test_tls_settings_without_tls_are_refused(security: str) -> None:
    environment = {**BROKERS, "RATESTREAM_TLS_CA": __file__, "RATESTREAM_SECURITY": security}
    wanted = {"plaintext": "ssl", "sasl-plaintext": "sasl-ssl"}[security]
    told = refusal({**environment, "RATESTREAM_ALLOW_SASL_WITHOUT_TLS": "yes"})
    assert f"RATESTREAM_TLS_CA: nothing would obey it with RATESTREAM_SECURITY={security}" in told
    assert f"Write RATESTREAM_SECURITY={wanted}, or" in told


@pytest.mark.parametrize(("text", "told"), [(b" \n", "the file is empty"), (b"\xff\xfe", "the file is no text")])
def test_a_file_that_holds_no_secret_is_refused(tmp_path: Path, text: bytes, told: str) -> None:
    (tmp_path / "token").write_bytes(text)
    assert told in refusal(with_token(tmp_path / "token"))


def test_a_login_without_tls_is_made_where_it_is_allowed() -> None:
    environment = {**LOGIN, "RATESTREAM_SECURITY": "sasl-plaintext", "RATESTREAM_ALLOW_SASL_WITHOUT_TLS": "yes"}
    keywords = connection(environment).for_aiokafka()
    assert keywords["security_protocol"] == "SASL_PLAINTEXT"
    assert "ssl_context" not in keywords


def test_no_text_of_a_connection_shows_the_secret(token_file: Path) -> None:
    for made in (connection(LOGIN), connection(with_token(token_file))):
        keywords = [made.for_aiokafka(), made.for_kafka_python(), made.for_faust()]
        shown = f"{made} {made!r} {keywords} {[list(one.values()) for one in keywords]} {vars(made)}"
        assert "sasl" in shown
        assert SECRET not in shown
    assert SECRET.encode() == Secret(SECRET).encode()


def test_loggers_that_write_requests_are_held_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    connection(LOGIN).for_aiokafka()
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "kafka"):
        for name in ("aiokafka.conn", "kafka.net.connection", "kafka.protocol.parser"):
            logging.getLogger(name).debug("Request: %s", SECRET)
            logging.getLogger(name).info("%s still tells the rest", name)
    assert SECRET not in caplog.text
    assert caplog.text.count("still tells the rest") == 3


def test_all_settings_are_known_by_name() -> None:
    check_names({**LOGIN, "RATESTREAM_TLS_CA": "", "RATESTREAM_PREFIX": "", "RATESTREAM_ALLOW_SASL_WITHOUT_TLS": ""})
    with pytest.raises(SettingError, match="RATESTREAM_SASL_PASWORD is no setting"):
        check_names({"RATESTREAM_SASL_PASWORD": SECRET})
    assert "RATESTREAM_SASL_TOKEN_FILE" in NAMES


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_each_broker_that_cannot_be_reached_is_told(silent: str, closed: str) -> None:
    with pytest.raises(BrokerError) as caught:
        reach(connection({"RATESTREAM_BROKERS": f"{closed},{silent}"}), within_s=0.2)
    refused, unanswered = str(caught.value).splitlines()
    assert refused == f"{closed}: Connection refused. Start the broker, or correct RATESTREAM_BROKERS."
    assert unanswered.startswith(f"{silent}: no answer in time. Check address, firewall and broker.")

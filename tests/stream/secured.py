"""A broker that wants logins and certificates, and what a client needs to get past them."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import run

from kafka import KafkaAdminClient
from kafka.admin import UserScramCredentialUpsertion

from agents import settings
from deploy.broker import Broker, start_broker

USER, PASSWORD = "ratestream", "correct-horse"
STRANGER = "stranger"
"""Logs in with the same password, and may do nothing."""

SCRAM_USER = "a=b,c"
"""Both signs have a meaning in SCRAM's messages."""

KEY_PASSWORD = "battery-staple"  # noqa: S105 - of a key that lives as long as a test

_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_BEARER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"


@dataclass(frozen=True)
class Certificates:
    """PEM files of an authority, of the broker at 127.0.0.1, and of a client."""

    authority: Path
    other_authority: Path
    broker: Path
    broker_key: Path
    client: Path
    client_key: Path
    """Encrypted with KEY_PASSWORD."""


def make_certificates(home: Path) -> Certificates:
    for name in ("authority", "other"):
        _openssl(home, "req", "-x509", *_new_key(name), "-nodes", "-days", "2", "-out", f"{name}.pem")
    (home / "names").write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
    for name, encryption in (("broker", ["-nodes"]), ("client", ["-passout", f"pass:{KEY_PASSWORD}"])):
        _openssl(home, "req", "-new", *_new_key(name), *encryption, "-out", f"{name}.csr")
        signing = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", "2"]
        _openssl(home, "x509", "-req", "-in", f"{name}.csr", *signing, "-extfile", "names", "-out", f"{name}.pem")
    names = ("authority.pem", "other.pem", "broker.pem", "broker.key", "client.pem", "client.key")
    return Certificates(*(home / name for name in names))


def _new_key(name: str) -> list[str]:
    return ["-newkey", "rsa:2048", "-keyout", f"{name}.key", "-subj", f"/CN={name}"]


def _openssl(home: Path, *arguments: str) -> None:
    run(["openssl", *arguments], cwd=home, check=True, capture_output=True)


def start_secured(certificates: Certificates) -> Broker:
    """Listeners PLAINTEXT, LOGIN (SASL over TLS), OPEN (SASL without TLS) and MUTUAL (TLS, both with certificates)."""
    names = ("PLAINTEXT", "LOGIN", "OPEN", "MUTUAL", "CONTROLLER")
    logins = {
        "plain.sasl.jaas.config": f'{_PLAIN} user_{USER}="{PASSWORD}" user_{STRANGER}="{PASSWORD}";',
        "scram-sha-256.sasl.jaas.config": _SCRAM,
        "scram-sha-512.sasl.jaas.config": _SCRAM,
        "oauthbearer.sasl.jaas.config": f'{_BEARER} unsecuredLoginStringClaim_sub="broker";',
    }
    properties = {
        "listeners": ",".join(f"{name}://127.0.0.1:{{{name.lower()}_port}}" for name in names),
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_SSL,OPEN:SASL_PLAINTEXT,MUTUAL:SSL"
        ),
        "listener.name.login.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.open.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.open.plain.sasl.jaas.config": logins["plain.sasl.jaas.config"],
        "listener.name.mutual.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.key": certificates.broker_key.read_text(encoding="utf-8"),
        "ssl.keystore.certificate.chain": certificates.broker.read_text(encoding="utf-8"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": certificates.authority.read_text(encoding="utf-8"),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{USER};User:{SCRAM_USER};User:CN=client",
    }
    broker = start_broker(
        properties=properties | {f"listener.name.login.{name}": said for name, said in logins.items()}
    )
    try:
        _add_scram_users(broker)
    except BaseException:
        broker.stop()
        raise
    return broker


def _add_scram_users(broker: Broker) -> None:
    client = KafkaAdminClient(bootstrap_servers=broker.listeners["PLAINTEXT"])
    try:
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):  # a request may name a user once
            users = [UserScramCredentialUpsertion(user, mechanism, PASSWORD) for user in (USER, SCRAM_USER)]
            refused = {user: why for user, why in client.alter_user_scram_credentials(users).items() if why}
            if refused:
                raise RuntimeError(f"the broker makes no users of SCRAM: {refused}")
    finally:
        client.close()


def with_login(broker: Broker, certificates: Certificates, mechanism: str, user: str = USER) -> dict[str, str]:
    """The settings of a client that logs in by a password."""
    return {
        settings.BROKERS: broker.listeners["LOGIN"],
        settings.SECURITY: "sasl-ssl",
        settings.TLS_CA: str(certificates.authority),
        settings.SASL_MECHANISM: mechanism,
        settings.SASL_USERNAME: user,
        settings.SASL_PASSWORD: PASSWORD,
    }


def with_token(broker: Broker, certificates: Certificates, file: Path) -> dict[str, str]:
    """The settings of a client that logs in by the token in the file."""
    return {
        settings.BROKERS: broker.listeners["LOGIN"],
        settings.SECURITY: "sasl-ssl",
        settings.TLS_CA: str(certificates.authority),
        settings.SASL_MECHANISM: "OAUTHBEARER",
        settings.SASL_TOKEN_FILE: str(file),
    }


def with_certificate(broker: Broker, certificates: Certificates) -> dict[str, str]:
    """The settings of a client that shows a certificate."""
    return {
        settings.BROKERS: broker.listeners["MUTUAL"],
        settings.SECURITY: "ssl",
        settings.TLS_CA: str(certificates.authority),
        settings.TLS_CERT: str(certificates.client),
        settings.TLS_KEY: str(certificates.client_key),
        settings.TLS_KEY_PASSWORD: KEY_PASSWORD,
    }


def bearer_token(valid_s: int) -> str:
    """An unsigned token of RFC 7515, valid for so many seconds from now, or expired."""
    now = int(time.time())
    return f"{_encoded({'alg': 'none'})}.{_encoded({'sub': USER, 'iat': now - 600, 'exp': now + valid_s})}."


def _encoded(claims: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()

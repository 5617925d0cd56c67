"""deploy/clickhouse/ as the embedded engine can enforce it.

The engine has the access control of a server, but nowhere to keep what CREATE ROLE makes: it takes its one user,
`default`, from a file. So a role's grants, row policies and settings are read from the SQL files, and written there as
those of that user; the conditions of policies and the grants stand there as they stand in SQL.
"""

import re
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

FOLDER = Path(__file__).parents[2] / "deploy" / "clickhouse"
FILES = sorted(FOLDER.glob("*.sql"))
TEMPLATES = sorted((FOLDER / "templates").glob("*.sql"))

_GRANT = re.compile(r"GRANT (?P<rights>.+ ON .+?) TO (?P<role>\w+)")
_POLICY = re.compile(
    r"CREATE ROW POLICY OR REPLACE \w+ ON (?P<tables>[^()]+?) USING (?P<condition>.+?) AS RESTRICTIVE TO (?P<role>\w+)"
)
_PROFILE = re.compile(r"CREATE SETTINGS PROFILE OR REPLACE \w+ SETTINGS (?P<settings>.+) TO (?P<role>\w+)")
_SETTING = re.compile(r"(?P<name>\w+) = (?P<value>\w+)(?: (?:(?P<const>CONST)|MIN (?P<min>\d+) MAX (?P<max>\d+)))?")


class Policy(NamedTuple):
    """Which rows of a table (`database.table`) a role sees."""

    role: str
    table: str
    condition: str


def statements(*files: Path) -> list[str]:
    """The statements of the files in their order, each on one line and without comments."""
    texts = (re.sub(r"^--.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE) for file in files)
    return [" ".join(one.split()) for text in texts for one in text.split(";\n") if one.strip()]


def grants(role: str) -> list[str]:
    """What the role may, as `SELECT ON database.table`."""
    found = (_GRANT.fullmatch(statement) for statement in statements(*FILES))
    return [grant["rights"] for grant in found if grant and grant["role"] == role]


def policies() -> list[Policy]:
    """The restrictive policies, one for each table."""
    found = filter(None, (_POLICY.fullmatch(statement) for statement in statements(*FILES)))
    return [
        Policy(policy["role"], table.strip(), policy["condition"])
        for policy in found
        for table in policy["tables"].split(",")
    ]


def users_file(role: str) -> str:
    """The engine's user as one who has the role and nothing else; with "", as one who may also manage access."""
    rights = "".join(f"<query>{escape(f'GRANT {right}')}</query>" for right in grants(role))
    own = f"<grants>{rights}</grants>" if role else "<access_management>1</access_management>"
    values, limits = _profile(role)
    return (
        f"<clickhouse><profiles><default>{values}<constraints>{limits}</constraints></default></profiles>"
        "<quotas><default></default></quotas><users><default><password></password><networks><ip>::/0</ip></networks>"
        f"<profile>default</profile><quota>default</quota>{own}<databases>{_filters(role)}</databases></default></users>"
        "</clickhouse>"
    )


def _profile(role: str) -> tuple[str, str]:
    """Its settings and what limits them."""
    found = (_PROFILE.fullmatch(statement) for statement in statements(*FILES))
    settings = [one for profile in found if profile and profile["role"] == role for one in _settings(profile)]
    values = (_element(one["name"], one["value"]) for one in settings)
    limits = (_element(one["name"], _limit(one)) for one in settings if one["const"] or one["max"])
    return "".join(values), "".join(limits)


def _element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _limit(setting: re.Match[str]) -> str:
    return "<const/>" if setting["const"] else _element("min", setting["min"]) + _element("max", setting["max"])


def _settings(profile: re.Match[str]) -> list[re.Match[str]]:
    found = [_SETTING.fullmatch(one.strip()) for one in profile["settings"].split(",")]
    understood = [one for one in found if one]
    if len(understood) < len(found):
        raise ValueError(f"these settings are in a way that is not read here: {profile['settings']}")
    return understood


def _filters(role: str) -> str:
    by_database: dict[str, str] = {}
    for policy in policies():
        if policy.role == role:
            database, _, table = policy.table.partition(".")
            filtered = _element(table, _element("filter", escape(policy.condition)))
            by_database[database] = by_database.get(database, "") + filtered
    return "".join(_element(database, tables) for database, tables in by_database.items())

"""The data declarations of the schema: whose data each column of text holds, and how long it is kept.

Each column of text or JSON has a comment such as ``data: customer; kept: until erased``. A migration that adds a column
adds the comment; docs/data.md is generated from them.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from storage.database import Connection, Pool

#: Whose data a column can hold → its meaning.
DATA = {
    "none": "says nothing about a person: codes, ids, amounts, instants, names that the server made",
    "user": "the data of the account that the row is about",
    "customer": "what a customer gave for one booking",
    "business": "what a business says of itself and of what it offers",
    "author": "text that a person wrote to others",
    "provider": "what an outside provider said: a payment gateway, a sender of messages",
    "secret": "gives access to an account or a device",
}
#: How long a column can be kept → its meaning. ``retention.<setting>`` names a setting in days.
KEPT = {
    "for good": "never deleted; part of the books, the journal or the statistics",
    "until erased": "deleted when the person or business is erased, or deletes it",
    "until replaced": "overwritten by the next value",
    "until done": "deleted once it has had its effect",
    "until expired": "deleted the night after it expires",
}
_GRAMMAR = re.compile(r"data: (?P<data>[a-z]+); kept: (?P<kept>[a-z ]+|retention\.(?P<setting>[a-z_]+))")

_COLUMNS = """
SELECT c.relname AS table, a.attname AS column, col_description(c.oid, a.attnum) AS declared
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
   AND coalesce(e.typname, t.typname) IN ('text', 'varchar', 'bpchar', 'json', 'jsonb')
 ORDER BY c.relname, a.attnum
"""


class ColumnDeclaration(Struct, frozen=True):
    """The declaration of one column."""

    table: str
    column: str
    #: None: there is no declaration, or an invalid one.
    data: str | None
    kept: str | None
    #: The setting in [retention] with the number of days; None unless ``kept`` names one.
    setting: str | None = None


async def read_declarations(connection: Connection | Pool) -> list[ColumnDeclaration]:
    """Read the declaration of each column of text or JSON."""
    return [_declaration(*row) for row in await connection.fetch(_COLUMNS)]


def _declaration(table: str, column: str, declared: str | None) -> ColumnDeclaration:
    match = _GRAMMAR.fullmatch(declared or "")
    if match is None or match["data"] not in DATA or not (match["setting"] or match["kept"] in KEPT):
        return ColumnDeclaration(table, column, None, None)
    return ColumnDeclaration(table, column, match["data"], match["kept"], match["setting"])


def render(declarations: Sequence[ColumnDeclaration]) -> str:
    """Render docs/data.md."""
    lines = [
        "# Data",
        "",
        "Whose data each column of text or JSON holds, and how long it is kept. Ids, numbers and instants are not",
        "listed.",
        "This page is written from the column comments of the schema by",
        "`python -m tests.integration.storage.test_declarations`; a test compares the two.",
        "",
        "| data | meaning |",
        "| --- | --- |",
        *[f"| {name} | {meaning} |" for name, meaning in DATA.items()],
        "",
        "| kept | meaning |",
        "| --- | --- |",
        *[f"| {name} | {meaning} |" for name, meaning in KEPT.items()],
        "| `retention.…` | deleted after the days that this setting gives |",
        "",
        "| table | column | data | kept |",
        "| --- | --- | --- | --- |",
        *[f"| `{one.table}` | `{one.column}` | {one.data} | {_shown(one)} |" for one in declarations],
        "",
    ]
    return "\n".join(lines)


def _shown(declaration: ColumnDeclaration) -> str:
    return f"`{declaration.kept}`" if declaration.setting else str(declaration.kept)

"""Accounts: their documents, which say in which zone an account lives and how its periods are called."""

from typing import ClassVar

from sinks.reports.question import Question


class AccountDocuments(Question, frozen=True):
    """Tenant, account and document of the accounts of these names; () stands for all names, "" for all tenants."""

    accounts: tuple[str, ...]
    tenant: str = ""

    sql: ClassVar[str] = """
SELECT tenant, account, document
FROM accounts FINAL
WHERE (empty({accounts:Array(String)}) OR has({accounts:Array(String)}, account))
    AND ({tenant:String} = '' OR tenant = {tenant:String})
ORDER BY tenant, account
"""

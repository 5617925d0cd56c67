"""Keys: which partition an account's messages go to.

Every topic that is about accounts has the same key and the same number of partitions, so that all of an account is in
one place. A producer in any language can make them: the key is `tenant/account`, and the partition follows from it as
in Kafka's own clients.
"""

from aiokafka.partitioner import murmur2

_POSITIVE = 0x7FFFFFFF


def account_key(tenant: str, account: str) -> bytes:
    """The message key of an account: `tenant/account`, where the tenant has `%25` for "%" and `%2F` for "/".

    >>> account_key("default", "A/17"), account_key("a/b", "c")
    (b'default/A/17', b'a%2Fb/c')
    """
    if "%" in tenant or "/" in tenant:
        tenant = tenant.replace("%", "%25").replace("/", "%2F")
    return f"{tenant}/{account}".encode("utf-8", "surrogatepass")


def account_of(key: bytes) -> tuple[str, str]:
    """The tenant and account of a message key. Raises ValueError where it is none.

    >>> account_of(account_key("a/b%", "c/d"))
    ('a/b%', 'c/d')
    """
    tenant, slash, account = key.decode("utf-8", "surrogatepass").partition("/")
    if not slash:
        raise ValueError(f"{key!r:.80} is not tenant/account")
    return tenant.replace("%2F", "/").replace("%25", "%"), account


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's clients choose for the key.

    >>> partition_of(b"default/A17", 4)
    0
    """
    hashed: int = murmur2(key)
    return (hashed & _POSITIVE) % partitions

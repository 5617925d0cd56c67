"""Errors around the pipeline: operating trouble, each told with what to do. Bad usage is never one of them.

AgentError
├── DirectoryError            the data directory cannot be used
│   ├── DirectoryInUseError   another process has it
│   └── StorageError          reading or writing it failed, a full disk included
├── SuccessionError           tariffs or accounts do not follow those that usage was rated under
├── ReratingError             accounts whose usage cannot be rated again
├── BrokerError               Kafka's brokers cannot be reached, or refuse what is asked of them
├── LayoutError               topics that are missing, or would break the guarantees
├── RegistryError             a schema registry that does not answer, or not as one does
├── MessageError              a message that nothing of ours wrote where it stands
├── InsertError               ClickHouse refuses rows, and would refuse them again
├── SettingError              a name or value of the environment, or what it would have named is missing
└── NoAnswerError             what was asked for is not there
"""


class AgentError(Exception):
    """Operating trouble; the text says what, where and what to do."""


class DirectoryError(AgentError):
    """The data directory cannot be used."""


class DirectoryInUseError(DirectoryError):
    """Another process has the data directory."""


class StorageError(DirectoryError):
    """Reading or writing the data directory failed. Nothing of what was being written counts."""


class SuccessionError(AgentError):
    """Tariffs or accounts that do not follow those under which usage was already rated."""


class ReratingError(AgentError):
    """Accounts whose usage cannot be rated again, each with its reason."""


class BrokerError(AgentError):
    """Kafka's brokers cannot be reached, or refuse what is asked of them."""


class LayoutError(AgentError):
    """Topics that are missing or would break the guarantees, each problem with what to do."""


class RegistryError(AgentError):
    """A schema registry that does not answer, or not as one does. The messages that need it wait."""


class MessageError(AgentError):
    """A message that nothing of ours wrote where it stands, or that no column holds."""


class InsertError(AgentError):
    """ClickHouse refuses rows, and would refuse them again."""


class SettingError(AgentError):
    """A name or value of the environment that is not known."""


class NoAnswerError(AgentError):
    """What was asked for is not there."""


class StateError(AgentError):
    """The stored state of a partition does not fit its topics; going on would lose or double usage."""

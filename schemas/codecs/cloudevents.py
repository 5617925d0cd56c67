"""CloudEvents 1.0 in JSON, as OpenMeter's producers send them.

The envelope says whose usage it is: `id` and `source` identify the record, `subject` is the account, `type` the meter
unless the data names one, `time` both start and end unless the data has them. `data` holds the record's other fields;
its other members are dimensions, as OpenMeter's are, and become attributes. Extension attributes of the envelope
(tracing, partition keys) are the transport's and are not read, but a field of usage may not stand among them.
The format: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from collections.abc import Mapping

from schemas.codecs.fields import Number, Refusal, identified, shown, usage_from
from schemas.rejection import Reason
from schemas.usage import UsageRecord

_ENVELOPE = frozenset({"id", "source", "account"})
"""What the envelope alone may say."""
_IN_DATA = frozenset(UsageRecord.__struct_fields__) - _ENVELOPE
_OF_DATA_ONLY = (_IN_DATA | {"account", "data_base64"}) - {"source"}


def usage_from_event(event: Mapping[str, object]) -> UsageRecord | Refusal:
    """The usage record of one CloudEvent, given the members of its JSON object."""
    refused = _refused(event)
    if refused:
        return identified(refused, {**event, "account": event.get("subject")})
    fields: dict[str, object] = {
        "id": event.get("id"),
        "account": event.get("subject"),
        "meter": event.get("type"),
        "source": event.get("source"),
        "start": event.get("time"),
        "end": event.get("time"),
    }
    data = event.get("data")
    made = _add_data(fields, data) if isinstance(data, dict) else None
    return identified(made, fields) if made else usage_from(fields)


def _refused(event: Mapping[str, object]) -> Refusal | None:
    if event["specversion"] != "1.0":
        version = shown(event["specversion"])
        return Refusal(Reason.UNREADABLE, f"CloudEvents version {version} is not read. Send specversion 1.0")
    misplaced = next((name for name in event if name in _OF_DATA_ONLY), None)
    if misplaced:
        what = f"the envelope of a CloudEvent has no {misplaced}"
        return Refusal(Reason.UNKNOWN_FIELD, f"{what}. State the account as subject and the rest inside data, as JSON")
    for name in ("source", "type"):
        if not event.get(name):
            return Refusal(
                Reason.MISSING_FIELD, f"{name} is missing, which every CloudEvent has. Send it again with it"
            )
    if not isinstance(event.get("data"), dict | None):
        return Refusal(Reason.WRONG_TYPE, f"data {shown(event['data'])} is not an object. Send the usage as an object")
    return None


def _add_data(fields: dict[str, object], data: Mapping[str, object]) -> Refusal | None:
    """Adds what the data says: fields by their names, other members as attributes."""
    dimensions: dict[str, object] = {}
    for name, value in data.items():
        if name in _ENVELOPE:
            what = f"data holds {name}, which only the envelope of a CloudEvent may say"
            return Refusal(Reason.UNKNOWN_FIELD, f"{what}. Remove it from data")
        if name in _IN_DATA:
            fields[name] = fields.get(name) if value is None or value == "" else value
        elif isinstance(value, str | bool):
            dimensions[name] = _dimension(value)
        elif value is not None:
            what = f"dimension {shown(name)} is not a text, a number or a truth value"
            return Refusal(Reason.WRONG_TYPE, f"{what}. Flatten it, or remove it from data")
    stated = fields.get("attributes")
    if dimensions and isinstance(stated, dict):
        repeated = dimensions.keys() & stated.keys()
        if repeated:
            what = f"dimension {shown(min(repeated))} stands in data and in its attributes"
            return Refusal(Reason.UNREADABLE, f"{what}. State it once")
        fields["attributes"] = {**stated, **dimensions}
    elif dimensions and stated is None:
        fields["attributes"] = dimensions
    return None


def _dimension(value: str | bool) -> str:
    """A dimension as text: a number by its own digits, a truth value as JSON writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, Number) else value

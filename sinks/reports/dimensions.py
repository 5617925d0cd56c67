"""Dimensions: what revenue is added up by, and what it is told apart by."""

from enum import StrEnum


class Step(StrEnum):
    """What revenue is added up by."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class By(StrEnum):
    """What revenue is told apart by, besides the currency."""

    TENANT = "tenant"
    TARIFF = "tariff"
    METER = "meter"
    BAND = "band"
    TIER = "tier"

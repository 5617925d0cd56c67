"""The oracle: works every bill out again from the files, and says where an export differs.

It shares no code with what it checks: the standard library, PyYAML and pyarrow are all that it imports. Instants are
aware datetimes, quantities and amounts are Decimal or Fraction. Read in this order:

    items        what a tariff's document says of one item
    contracts    tariffs and accounts, as their YAML says them
    coverage     what they say that is not worked out here, and is named
    local_time   billing periods, local days, and the band that holds at an instant
    record       one usage record
    placing      what of a record falls to which item, period, band and window
    readings     usage files: accepted, duplicate, rejected
    prices       what a quantity costs
    calls        what telephone calls cost
    item_prices  what all usage of an item costs
    fees         what recurs, used or not
    taxing       how lines are rounded and taxed
    bills        what each billing period of an account comes to
    exported     charges, statements and rejections, as they were written
    packing, digests    the digests that a statement carries
    own_side     the oracle's own result for a set of files
    charge_checks, statement_checks, bill_checks
    comparison   every difference between the two

    python -m tests.oracle --tariffs examples/tariffs --accounts examples/accounts.yaml --export DIR USAGE...
"""

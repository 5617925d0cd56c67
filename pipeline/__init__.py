"""Processes: usage becomes charges, charges become statements. Pure: no clock, no I/O, no driver.

Read in this order and you have read the product:

    calendar     billing periods and local days
    bands        when each time-of-use price holds
    pricing      what a quantity costs, a file per price model
    terms        which price is in force, and over which range it counts
    intake       a usage record is accepted or refused
    splitting    shares of a record, by time and by band
    rating       a record becomes the difference that it makes to the bill
    acceptance   everything that one record changes, worked out before any of it is posted
    posting      a charge joins the totals of its period
    adjusting    late usage and corrections
    recurring    fees
    taxing       how lines are rounded, and which taxes they bear
    bill         lines, taxes and total of a period
    coupons      what is taken off which lines
    allowances   what was free, and how much of it is left
    settling     what was paid before: credits and interim statements
    closing      an ended period becomes a statement
    progressive  interim statements of a period that goes on
    rerating     usage is rated again under other terms
    entries      the stored form of all this
    ledger       accounts in memory, and what has changed
    processing   the whole of it, record after record
"""

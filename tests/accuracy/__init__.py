"""Published bills: what suppliers, vendors and test suites print, worked out again by what `ratestream rate` uses.

Each case of `cases/*.json` is translated into tariffs, accounts and usage records, which are written to files, read
and rated; then every expected field is read out of charges and statements. Translations hold no arithmetic, and do
not know what is expected. Read in this order:

    case        what a case says; everything in it has to be read, or the case fails
    documents   the tariffs, accounts and usage records that a case becomes
    running     the way of `ratestream rate`, and the way of records as they arrive
    result      where an answer stands in charges and statements
    adapters/   a translation for each model
    comparing   an expected value and an answer
    checking    one case, from its translation to its verdict
    table       right and wrong by source and by model

    make accuracy                              all cases
    RATESTREAM_CASES=PATH make accuracy        the cases of another file, or of the *.json of a directory

How a case is to be read:

- `tiers` are `[up_to, unit price, flat fee]`; `up_to` counts from zero and is inclusive, null is no limit, the flat fee
  may be left out. A quantity on a bound belongs to the lower tier, unless the note says otherwise.
- graduated: each tier prices its own units, and the flat fee of each tier that is reached is added. volume: all units
  at the price of the tier reached, and its flat fee. package: each begun package of what is not free.
- Whether no usage at all costs the first flat fee is told by `zero_usage_first_flat`; where a case does not tell, Lago
  and OpenMeter charge it in totals, and others do not.
- cumulative_delta: quantities seen by successive runs of rating; expected is the signed amount that each run adds.
- call: connection fee, then slots `{from second, rate per unit_s, billed per inc_s}`. `exact` is the arithmetic answer,
  `cgrates` what CGRateS prints: each increment rounded to 5 decimals, the call up to 4.
- ev_session: each component rounds the quantity of the session up to its `step` (Wh of energy, seconds of time; times
  are given in minutes) and has its own VAT.
- Where a source printed a wrong number (`published-wrong`), `expected` is the right one and `published` the printed.
- An amount that a statement rounds has to be equal. One that it does not round is compared at the decimals printed, but
  never at fewer than two; a `tolerance` is obeyed where a case states one.
"""

"""The embedded sample: synthetic files in the venues' own formats, calibrated to published figures, repeatable.

``generate_sample(out)`` writes this tree (10 venues, 40 base assets, 2025 daily, 10 and 11 October by the minute)::

    SAMPLE.json                                    seed, generator version, calibration targets and what was achieved, faults
    binance/data/futures/um/daily/                 as data.binance.vision; each zip has one CSV and its .CHECKSUM
        klines/{SYM}/1d/{SYM}-1d-{DATE}.zip        each day of 2025
        klines/{SYM}/1m/{SYM}-1m-{DATE}.zip        the two days
        indexPriceKlines/{SYM}/1m/{SYM}-1m-{DATE}.zip
        bookDepth/{SYM}/{SYM}-bookDepth-{DATE}.zip
        markPriceKlines, premiumIndexKlines, metrics    coins in focus, two days
    binance/data/futures/cm/daily/                 COIN-M in BTC and ETH, two days: klines, indexPriceKlines,
                                                   markPriceKlines, metrics, liquidationSnapshot
    binance/fapi/openInterestHist/{SYM}-{1d|5m}-{n}.json        at most 500 per page, ascending
    binance/fapi/fundingRate/{SYM}-{n}.json                     at most 1000 per page, ascending
    binance/{fapi|dapi}/{endpoint}-{moment}.json                terms, tickers, tiers, funds, ADL risk
    binance/stream/forceOrder/{DATE}.jsonl                      one message per line
    bybit/v5/market/kline/{SYM}-{D|1}-{n}.json                  at most 1000 per page, newest first, edge rows repeated
    bybit/v5/market/index-price-kline/{SYM}-1-{n}.json
    bybit/v5/market/open-interest/{SYM}-{1d|5min}-{n}.json      at most 200 per page, both sides
    bybit/v5/market/funding/history/{SYM}-{n}.json              at most 200 per page, edge rows repeated
    bybit/v5/market/**/inverse/                                 the same of BTCUSD and ETHUSD, two days
    bybit/v5/market/**                                          mark and premium bars, ratios, books, terms, tickers, ...
    bybit/stream/allLiquidation/{DATE}.jsonl, inverse/{DATE}.jsonl
    okx/, bitget/, hyperliquid/                    coins in focus, two days, by the hour: every endpoint that is read
    coinglass/, coinalyze/, defillama/, tardis/    BTC and ETH, two days
    declared/*.parquet                             eight venues; columns: see ``declared_files``
    faulty/                                        two copies that cannot be read: see ``faulty_files``
    book/*.parquet, book/book.yaml                 the position book of the replay; tables: docs/method_replay.md

What belongs here: making the sample, and saying where it lands (``places``, ``landing``). What does not: reading it, which the
venues' own parsers do as for real files. ``market`` says what happened, ``split`` in which file each dollar of it is told,
``derived`` what other endpoints say of it, ``*_files`` in whose words.
"""

from dagster_project.sources.demo.sample import Calibration, SampleSummary, generate_sample, tree_sha256

__all__ = ["Calibration", "SampleSummary", "generate_sample", "tree_sha256"]

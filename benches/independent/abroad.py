#!/usr/bin/env python3
"""Makes a log of the tape in which money is in three currencies, and runs the workers over it.

Plays so many bars of the tape, and has half of its symbols priced in euros: each price divided by the rate of its moment.
Of the portfolios one has its account in euros, one in francs; the latter sells what it bought on the tape, and the other
way round, so that desks hold positions that cancel. The rates EURUSD and USDCHF are walks from 1.16 and 0.93, by a seed.
What accounts say is what a bank would: fills and fees are paid at the rates of their moments, and what is held is worth
what it is worth at the rates of the record's; into some of them money is paid, or out of them. day.py then computes all of
it anew, under the same settings.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

from tape import Beyond, Instrument, Log, micros

TOPICS = ["market.data.v1", "exec.reports.v1", "accounts.v1", "positions.v1", "heartbeats.v1"]
IN_EUROS = {"BAY-USD", "COVE-USD", "DUNE-USD", "GLEN-USD"}
ACCOUNTS = {"charlie": "EUR", "foxtrot": "CHF"}
TURNED = {"foxtrot": {"buy": "sell", "sell": "buy"}}
PAIRS = {"EURUSD": ("EUR", Decimal("1.16")), "USDCHF": ("CHF", Decimal("0.93"))}
# What is paid into accounts, and out of them, in their currency.
PAYMENTS = [
    ("alpha", "2021-10-01T09:20:00Z", Decimal(200_000)),
    ("charlie", "2021-10-03T14:40:00Z", Decimal(-150_000)),
    ("foxtrot", "2021-10-05T11:10:00Z", Decimal(250_000)),
]
BAR = 900_000_000
PRICES = ("bid", "ask", "last", "limit_price", "last_price", "average_price", "arrival_price", "fee")


class Rates:
    """The pairs' marks, twice a bar in which anything is marked, and the price of each currency in dollars by them."""

    def __init__(self, times, seed):
        chance = random.Random(seed)
        self.records, self.dollars = [], {"USD": Decimal(1)}
        bars = sorted({int(time) // BAR * BAR for time in times})
        instants = [bar + part for bar in bars for part in (0, BAR // 2)]
        for sequence, instant in enumerate(instants):
            for place, (symbol, (_, first)) in enumerate(PAIRS.items()):
                before = self.records[-len(PAIRS)]["last"] if sequence else first
                step = Decimal(round(chance.uniform(-1.0, 1.0) * 120)) / 100_000
                self.records.append(self._record(symbol, sequence, instant + place * 1_000_000, Decimal(before) + step))

    @staticmethod
    def _record(symbol, sequence, at, mid):
        half = Decimal("0.00005")
        return {
            "source": symbol.lower(),
            "sequence": sequence,
            "event_time": at,
            "symbol": symbol,
            "currency": symbol[3:],
            "bid": str(mid - half),
            "ask": str(mid + half),
            "last": str(mid),
        }

    def see(self, record):
        """The mark of a pair came."""
        currency = PAIRS[record["symbol"]][0]
        mid = (Decimal(record["bid"]) + Decimal(record["ask"])) / 2
        self.dollars[currency] = mid if currency == "EUR" else 1 / mid

    def into(self, currency, priced):
        """What one of the money that a price is in is worth in another."""
        return self.dollars[priced] / self.dollars[currency]


class Bank:
    """What each account has, and what is held by it."""

    def __init__(self, rates, instruments):
        self.instruments = instruments
        self.rates, self.cash, self.held, self.marks = rates, {}, {}, {}
        self.payments = [(name, int(micros([at])[0]), amount) for name, at, amount in PAYMENTS]
        self.paid = {name: {"deposits": Decimal(0), "withdrawals": Decimal(0)} for name, _, _ in PAYMENTS}

    def fill(self, value):
        if value["exec_type"] != "fill":
            return
        portfolio, own = value["portfolio"], ACCOUNTS.get(value["portfolio"], "USD")
        quantity = Decimal(value["last_quantity"]) * (1 if value["side"] == "buy" else -1)
        spent = quantity * Decimal(value["last_price"]) * self._multiplier(value["symbol"]) + Decimal(value["fee"] or 0)
        self.cash[portfolio] -= spent * self.rates.into(own, value["currency"])
        held = self.held.setdefault(portfolio, {})
        held[value["symbol"]] = held.get(value["symbol"], Decimal(0)) + quantity

    def _multiplier(self, symbol):
        return self.instruments.get(symbol, Instrument()).multiplier

    def account(self, value, at):
        """The record says what there is at its time."""
        portfolio, own = value["portfolio"], ACCOUNTS.get(value["portfolio"], "USD")
        self.cash.setdefault(portfolio, Decimal(value["deposits"]))
        for due in [one for one in self.payments if one[0] == portfolio and one[1] <= at]:
            self.payments.remove(due)
            self.cash[portfolio] += due[2]
            self.paid[portfolio]["deposits" if due[2] > 0 else "withdrawals"] += abs(due[2])
        for kind, amount in self.paid.get(portfolio, {}).items():
            value[kind] = str(Decimal(value[kind]) + amount)
        worth = cash = self.cash[portfolio]
        for symbol, quantity in self.held.get(portfolio, {}).items():
            price, priced = self.marks[symbol]
            worth += quantity * price * self._multiplier(symbol) * self.rates.into(own, priced)
        value |= {"currency": own, "cash": f"{cash:.2f}", "equity": f"{worth:.2f}"}


def abroad(records, instruments, seed):
    """The records of each topic, in the currencies that they are in here. Each is worked over at its time: what accounts
    say comes last of those of one instant."""
    events = [(topic, value) for topic in TOPICS for value in records[topic]]
    times = micros([value["event_time"] for _, value in events])
    marked = [at for at, (topic, _) in zip(times, events) if topic == "market.data.v1"]
    rates = Rates(marked, seed)
    bank = Bank(rates, instruments)
    rows = [(int(at), topic == "accounts.v1", topic, value) for at, (topic, value) in zip(times, events)]
    rows += [(record["event_time"], False, "rates", record) for record in rates.records]
    found = {topic: [] for topic in TOPICS}
    for at, _, topic, value in sorted(rows, key=lambda row: row[:2]):
        if topic == "rates":
            rates.see(value)
        elif topic == "market.data.v1":
            _price(value, rates)
            bank.marks[value["symbol"]] = ((Decimal(value["bid"]) + Decimal(value["ask"])) / 2, value["currency"])
        elif topic == "exec.reports.v1":
            _price(value, rates)
            value["side"] = TURNED.get(value["portfolio"], {}).get(value["side"], value["side"])
            bank.fill(value)
        elif topic == "accounts.v1":
            bank.account(value, at)
        elif topic == "positions.v1" and value["portfolio"] in TURNED:
            for line in value["positions"]:
                line["quantity"] = str(-Decimal(line["quantity"]))
        found["market.data.v1" if topic == "rates" else topic].append(value)
    return found


def _price(value, rates):
    """Every price of a record of a symbol that is in euros here."""
    if value["symbol"] in IN_EUROS:
        for name in PRICES:
            if value.get(name) is not None:
                value[name] = f"{Decimal(value[name]) * rates.into('EUR', 'USD'):.8f}"
        value |= {key: "EUR" for key in ("currency", "fee_currency") if value.get(key) is not None}


def watch(log):
    """Runs the workers until they have read all that there is."""
    with subprocess.Popen(log.command("up"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as workers:
        try:
            while not _read(log):
                if workers.poll() is not None:
                    raise Beyond(f"the workers ended, with exit code {workers.returncode}")
                time.sleep(1)
        finally:
            workers.send_signal(signal.SIGINT)


def _read(log):
    """True if the workers that measure risk have read their inputs to the ends. They count their own heartbeats, too, of
    which there is always one more."""
    sources = [one for name in ("risk", "firm-risk") for one in _sources(log, name) if one["topic"] != "heartbeats.v1"]
    return bool(sources) and all(one["lag"] == 0 for one in sources)


def _sources(log, worker):
    of_all = json.loads(log.run("status", "--json", "--worker", worker))["workers"]
    return [source for of_worker in of_all for source in of_worker["law1"]]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tapewatch", default="target/release/tapewatch", help="the program")
    parser.add_argument("--dir", required=True, type=Path, help="the folder of the log, tape.db, which is made")
    parser.add_argument("--config", default=str(Path(__file__).with_suffix(".toml")), help="the settings")
    parser.add_argument("--bars", type=int, default=960, help="how many bars of the tape")
    parser.add_argument("--seed", type=int, default=7, help="of the rates")
    return parser.parse_args()


def run(given):
    given.dir.mkdir(parents=True)
    options = [f"--config={given.config}"]
    played = Log(given.tapewatch, f"sqlite:{given.dir / 'played.db'}", options)
    log = Log(given.tapewatch, f"sqlite:{given.dir / 'tape.db'}", options)
    played.run("play", "--bars", str(given.bars))
    log.run("topics", "create")
    records = {topic: [record["value"] for record in played.records(topic)] for topic in TOPICS}
    for topic, values in abroad(records, log.instruments(), given.seed).items():
        log.run("produce", topic, given="\n".join(json.dumps(value) for value in values))
        print(f"{topic}: {len(values)} records")
    watch(log)


if __name__ == "__main__":
    try:
        run(arguments())
    except Beyond as error:
        sys.exit(f"abroad.py: {error}")

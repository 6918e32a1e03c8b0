"""What is on a log, read with `tapewatch tail`, in the order in which a worker takes it."""

import json
import subprocess
import tomllib
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

INPUTS = ["accounts.v1", "exec.reports.v1", "market.data.v1"]
# Of the worker of what is above the portfolio.
ABOVE = ["holdings.v1", "market.data.v1"]
# What happens at an instant, after the records of that instant.
DUE = ("tick", "source_down", "source_up")


class Beyond(Exception):
    """The log has something that this computation does not cover, or is not what it says it is."""


@dataclass
class Instrument:
    """How many times its price one unit is worth, and what it is part of."""

    multiplier: Decimal = Decimal(1)
    sector: str | None = None


@dataclass
class Log:
    """A log, and the program that reads it."""

    tapewatch: str
    log: str
    options: list[str]
    read: dict = field(default_factory=dict)

    def command(self, *arguments):
        """The program's command on this log, under these settings."""
        return [self.tapewatch, *arguments, "--log", self.log, *self.options]

    def run(self, *arguments, given=None):
        """What the command prints, given this to read."""
        command = self.command(*arguments)
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Beyond(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def settings(self):
        """The settings in force, as a table."""
        return tomllib.loads(self.run("config", "show"))

    def instruments(self):
        """What the file of the settings says of each symbol, if there is one: its path is from that of the settings."""
        path = self.settings()["risk"].get("instruments")
        if path is None:
            return {}
        config = next(Path(option.removeprefix("--config=")) for option in self.options if option.startswith("--config="))
        read = tomllib.loads((config.parent / path).read_text())["instruments"]
        return {one["symbol"]: Instrument(Decimal(str(one["multiplier"])), one.get("sector")) for one in read}

    def records(self, topic):
        """All records of a topic that can be decoded; the others are dead letters to the worker, too."""
        if topic not in self.read:
            lines = self.run("tail", topic, "--json", "--from", "0").splitlines()
            records = (json.loads(line) for line in lines)
            self.read[topic] = [record for record in records if isinstance(record.get("value"), dict)]
        return self.read[topic]


def micros(times):
    """RFC 3339 times as whole microseconds since the epoch."""
    parsed = pd.to_datetime(pd.Series(times, dtype="object"), format="ISO8601", utc=True)
    return parsed.dt.as_unit("us").astype("int64").to_numpy()


class Order:
    """The inputs in the one order in which every task of a worker takes those of them that are its own.

    A record's arrival is its event time, or the latest before it in its partition if that is later: a
    partition is never reordered. The least (arrival, topic, partition) goes first.
    """

    def __init__(self, log, topics):
        rows = []
        for topic in topics:
            rows.extend((topic, r["partition"], r["offset"], r["value"]) for r in log.records(topic))
        table = pd.DataFrame(rows, columns=["topic", "partition", "offset", "value"])
        table["time"] = micros([value["event_time"] for value in table["value"]])
        table = table.sort_values(["topic", "partition", "offset"], kind="stable")
        table["arrival"] = table.groupby(["topic", "partition"])["time"].cummax()
        table = table.sort_values(["arrival", "topic", "partition", "offset"], kind="stable")
        self.table = table.reset_index(drop=True)
        self.arrivals = self.table["arrival"].to_numpy()
        keys = zip(self.table["topic"], self.table["partition"], self.table["offset"])
        self._places = {key: place for place, key in enumerate(keys)}
        # What a worker published goes by its own name.
        self._named = {value["id"]: place for place, value in enumerate(self.table["value"]) if "id" in value}

    def of(self, topic):
        """The records of one topic, in order; the index is their place."""
        return self.table[self.table["topic"] == topic]

    def by(self, instant):
        """The place of the last record that arrived by an instant; of each, if there are several."""
        places = np.searchsorted(self.arrivals, instant, side="right") - 1
        return places if np.ndim(instant) else int(places)

    def last_seen(self, cause):
        """The place of the last record that something with this cause has seen.

        What is due at an instant stands after all records that arrive at it.
        """
        kind, _, instant = cause.partition("@")
        if kind in DUE and instant:
            return self.by(int(instant))
        if cause in self._named:
            return self._named[cause]
        try:
            topic, partition, offset = cause.rsplit("/", 2)
            return self._places.get((topic, int(partition), int(offset)))
        except ValueError as error:
            raise Beyond(f"a cause of another kind: {cause}") from error


@dataclass
class Marks:
    """The marks of one symbol: the middle of bid and ask, else the last trade; all in one currency."""

    currency: str
    places: np.ndarray
    times: np.ndarray
    exact: list[Decimal]
    prices: np.ndarray
    touches: list[tuple[float, float, float, float]]

    def at(self, places):
        """Which mark is in force at each place; -1 where there is none yet."""
        return np.searchsorted(self.places, places, side="right") - 1

    def mark(self, place):
        """The one in force at a place, of which there is one."""
        if (at := int(self.at(place))) < 0:
            raise Beyond(f"no mark at {place}")
        return self.exact[at]

    def series(self, places):
        """The one in force at each place, if there is one."""
        at = self.at(places)
        return np.where(at >= 0, self.prices[at], np.nan)


def marks(order):
    """The marks of every symbol. One that is older than the mark in force changes nothing."""
    found = {}
    for place, time, value in order.of("market.data.v1")[["time", "value"]].itertuples():
        if value["bid"] is not None and value["ask"] is not None:
            price = (Decimal(value["bid"]) + Decimal(value["ask"])) / 2
        elif value["last"] is not None:
            price = Decimal(value["last"])
        else:
            continue
        touch = tuple(float(value[side] or "nan") for side in ("bid", "ask", "bid_size", "ask_size"))
        currency, *of_symbol = found.setdefault(value["symbol"], (value["currency"], [], [], [], []))
        if currency != value["currency"]:
            raise Beyond(f"{value['symbol']} is priced in {currency}, and then in {value['currency']}")
        if of_symbol[1] and time < of_symbol[1][-1]:
            continue
        for column, entry in zip(of_symbol, (place, time, price, touch)):
            column.append(entry)
    return {
        symbol: Marks(currency, np.array(places), np.array(times), exact, np.array([float(p) for p in exact]), touches)
        for symbol, (currency, places, times, exact, touches) in found.items()
    }

"""Job E in Python: what the load harness compares the risk worker with.

Started by the harness with one argument, its terms as JSON: brokers, topics, window, limits. Runs until SIGTERM. With
`--raw` before it, decimals and times of reports are left as bytes and integers by fastavro, and only those that are
needed are made numbers: most of what decoding costs is the others.
"""

import io
import json
import signal
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import fastavro
from book import Marks, Portfolio
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Schema:
    """One of the released schemas, in Avro's single-object encoding."""

    def __init__(self, terms, name, raw=False):
        schema = json.loads((Path(terms["schemas"]) / f"{name}.avsc").read_text())
        self.schema = fastavro.parse_schema(without_logical_types(schema) if raw else schema)
        self.frame = b"\xc3\x01" + bytes.fromhex(terms["fingerprints"][name])

    def decode(self, value):
        if value[:10] != self.frame:
            raise ValueError(f"a record of another schema: {value[:10].hex()}")
        return fastavro.schemaless_reader(io.BytesIO(value[10:]), self.schema, None)

    def encode(self, record):
        out = io.BytesIO()
        out.write(self.frame)
        fastavro.schemaless_writer(out, self.schema, record)
        return out.getvalue()


def without_logical_types(schema):
    if isinstance(schema, dict):
        return {key: without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    return [without_logical_types(one) for one in schema] if isinstance(schema, list) else schema


def micros(at):
    return at if isinstance(at, int) else (at - EPOCH) // MICROSECOND


def number(amount):
    return int.from_bytes(amount, "big", signed=True) / 1e12 if isinstance(amount, bytes) else float(amount)


class Job:
    """Reads reports, computes, publishes; outputs and positions commit together."""

    def __init__(self, terms, raw):
        self.terms = terms
        self.reports = Schema(terms, "exec.reports.v1", raw)
        self.market, self.risk = Schema(terms, "market.data.v1"), Schema(terms, "risk.metrics.v1")
        self.marks, self.portfolios, self.published = Marks(), {}, 0
        # rdkafka's settings as the risk worker ships them.
        client = {"bootstrap.servers": terms["brokers"], "isolation.level": "read_committed"}
        reader = client | {"enable.auto.commit": False, "fetch.wait.max.ms": 10, "auto.offset.reset": "earliest"}
        self.market_reader = Consumer(reader | {"group.id": terms["id"] + ".marks", "enable.partition.eof": True})
        self.reader = Consumer(reader | {"group.id": terms["id"]})
        writer = {"bootstrap.servers": terms["brokers"], "transactional.id": terms["id"], "linger.ms": 5}
        self.writer = Producer(writer | {"partitioner": "murmur2_random"})

    def run(self):
        """Until SIGTERM."""
        running = True

        def stop(*_):
            nonlocal running
            running = False

        signal.signal(signal.SIGTERM, stop)
        self.read_marks_to_the_end()
        self.reader.subscribe(["exec.reports.v1"])
        self.writer.init_transactions()
        while running:
            self.round()
        self.reader.close()

    def read_marks_to_the_end(self):
        topic = self.market_reader.list_topics("market.data.v1").topics["market.data.v1"]
        places = [TopicPartition(topic.topic, partition, OFFSET_BEGINNING) for partition in topic.partitions]
        self.market_reader.assign(places)
        ended = 0
        while ended < len(places):
            for message in self.market_reader.consume(1_000, 0.1):
                if message.error():
                    ended += 1  # a partition's end is the only error that is told here
                else:
                    self.marks.take(self.market.decode(message.value()))

    def round(self):
        """What comes within the commit interval, in one transaction."""
        until = time.monotonic() + self.terms["commit_every_ms"] / 1_000
        begun = False
        while (left := until - time.monotonic()) > 0:
            for message in self.market_reader.consume(1_000, 0):
                if not message.error():
                    self.marks.take(self.market.decode(message.value()))
            messages = self.reader.consume(1_000, min(left, 0.01))
            if messages and not begun:
                self.writer.begin_transaction()
                begun = True
            for message in messages:
                if message.error():
                    raise RuntimeError(message.error())
                self.take(message)
        if begun:
            positions = self.reader.position(self.reader.assignment())
            self.writer.send_offsets_to_transaction(
                [at for at in positions if at.offset >= 0], self.reader.consumer_group_metadata()
            )
            self.writer.commit_transaction()

    def take(self, message):
        """One report. A level says what was so at its instant, so it comes before the first record after it."""
        report = self.reports.decode(message.value())
        name, at = report["portfolio"], micros(report["event_time"])
        portfolio = self.portfolios.get(name)
        new = portfolio is None
        if new:
            portfolio = self.portfolios[name] = Portfolio(self.terms)
        if portfolio.due is not None and at >= portfolio.due:
            self.publish(name, portfolio, portfolio.due, "interval", message)
            portfolio.due = None
        fill = report["exec_type"] == "fill"
        if fill:
            quantity = number(report["last_quantity"])
            if report["side"] == "sell":
                quantity = -quantity
            place = self.marks.place(report["symbol"])
            fee = 0.0 if report["fee"] is None else number(report["fee"])
            portfolio.fill(place, quantity, number(report["last_price"]), fee, self.marks.values)
        # An order's report changes no figure, but the first report of a portfolio begins its limits.
        if fill or new:
            if portfolio.due is None:
                every = self.terms["publish_every_us"]
                portfolio.due = at // every * every + every
            if portfolio.evaluate():
                self.publish(name, portfolio, at, "transition", message)

    def publish(self, name, portfolio, at, occasion, message):
        self.published += 1
        # The largest position is published as the value of its limit, as by the risk worker.
        measures = [{"name": n, "value": v} for n, v in portfolio.figures.items() if n != "position"]
        limits = []
        for limit in self.terms["limits"]:
            status, value = portfolio.limits[limit["name"]]
            limits.append({
                "limit": limit["name"], "measure": limit["measure"], "status": status, "since": at,
                "value": value, "hard": limit["hard"],
                "utilisation": None if value is None else value / limit["hard"],
                "unknown": "warming_up" if value is None else None,
            })
        record = {
            "provenance": {
                "worker": self.terms["id"], "partition": message.partition(), "step": self.published, "index": 0,
                "cause": f"{message.topic()}/{message.partition()}/{message.offset()}",
                "configuration": "", "code": "",
            },
            "id": f"00000000-0000-8000-8000-{self.published:012x}",
            "event_time": at, "scope": name, "occasion": occasion, "currency": "USD",
            "measures": measures, "limits": limits,
        }
        self.writer.produce(self.terms["figures"], key=name.encode(), value=self.risk.encode(record))


if __name__ == "__main__":
    Job(json.loads(sys.argv[-1]), raw="--raw" in sys.argv).run()

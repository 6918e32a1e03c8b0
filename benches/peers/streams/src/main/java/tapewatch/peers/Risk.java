package tapewatch.peers;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.util.Utf8;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/** Execution reports in, risk figures out: at each interval of event time, and when a limit stands otherwise. */
final class Risk implements Processor<byte[], byte[], byte[], byte[]> {
    static final String STORE = "portfolios";
    private static final String[] MEASURES = {
        "gross_exposure", "net_exposure", "realised_pnl", "unrealised_pnl", "fees", "samples",
        "var_95", "es_95", "var_99", "es_99",
    };
    private final Terms terms;
    private final Marks marks;
    private final Wire reports;
    private final Wire risk;
    private final Schema provenance, measure, limit;
    private final Object interval, transition, warmingUp, normal;
    private final Object[] standings;
    private ProcessorContext<byte[], byte[]> context;
    /** The store's portfolios, alive: a portfolio is put there after each fill, and read from there at a start. */
    private KeyValueStore<byte[], byte[]> store;
    private final Map<Utf8, Portfolio> portfolios = new HashMap<>();
    private long published;

    Risk(Terms terms, Marks marks) {
        this.terms = terms;
        this.marks = marks;
        reports = new Wire(terms, "exec.reports.v1");
        risk = new Wire(terms, "risk.metrics.v1");
        provenance = risk.of("provenance");
        measure = risk.of("measures").getElementType();
        limit = risk.of("limits").getElementType();
        interval = new GenericData.EnumSymbol(risk.of("occasion"), "interval");
        transition = new GenericData.EnumSymbol(risk.of("occasion"), "transition");
        Schema unknown = measure.getField("unknown").schema().getTypes().get(1);
        warmingUp = new GenericData.EnumSymbol(unknown, "warming_up");
        normal = new GenericData.EnumSymbol(limit.getField("calls_for").schema(), "normal");
        Schema status = limit.getField("status").schema();
        standings = List.of("unknown", "ok", "breached").stream()
                .map(symbol -> new GenericData.EnumSymbol(status, symbol)).toArray();
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        this.context = context;
        store = context.getStateStore(STORE);
        try (KeyValueIterator<byte[], byte[]> all = store.all()) {
            while (all.hasNext()) {
                KeyValue<byte[], byte[]> one = all.next();
                portfolios.put(new Utf8(one.key), Portfolio.fromBytes(one.value, terms, marks));
            }
        }
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        GenericRecord report = reports.decode(record.value());
        long at = (Long) report.get("event_time");
        Portfolio portfolio = portfolios.get((Utf8) report.get("portfolio"));
        boolean fresh = portfolio == null;
        if (fresh) {
            portfolio = new Portfolio(terms);
            portfolios.put(new Utf8(record.key()), portfolio);
        }
        // A level says what was so at its instant, so it comes before the first record after it.
        boolean level = portfolio.isDue(at);
        if (level) {
            publish(record, portfolio, portfolio.due, interval);
            portfolio.published();
        }
        boolean fill = report.get("exec_type").toString().equals("fill");
        if (fill) {
            double quantity = Wire.number(report.get("last_quantity"));
            if (report.get("side").toString().equals("sell")) {
                quantity = -quantity;
            }
            Object fee = report.get("fee");
            int place = marks.place((Utf8) report.get("symbol"));
            double price = Wire.number(report.get("last_price"));
            portfolio.fill(place, quantity, price, fee == null ? 0 : Wire.number(fee), marks.values());
        }
        // An order's report changes no figure, but the first report of a portfolio begins its limits.
        if (fill || fresh) {
            portfolio.changed(at);
            if (portfolio.evaluate()) {
                publish(record, portfolio, at, transition);
            }
        }
        if (fill || fresh || level) {
            store.put(record.key(), portfolio.toBytes(marks));
        }
    }

    private void publish(Record<byte[], byte[]> cause, Portfolio portfolio, long at, Object occasion) {
        GenericRecord out = new GenericData.Record(risk.schema);
        out.put("provenance", provenance());
        out.put("id", new UUID(0x8000, Long.MIN_VALUE + ++published).toString());
        out.put("event_time", at);
        out.put("scope", new Utf8(cause.key()));
        out.put("occasion", occasion);
        out.put("currency", "USD");
        out.put("measures", measures(portfolio));
        out.put("limits", limits(portfolio, at));
        context.forward(new Record<>(cause.key(), risk.encode(out), cause.timestamp()));
    }

    private GenericRecord provenance() {
        GenericRecord out = new GenericData.Record(provenance);
        context.recordMetadata().ifPresent(at -> {
            out.put("partition", at.partition());
            out.put("cause", at.topic() + "/" + at.partition() + "/" + at.offset());
        });
        out.put("worker", terms.id());
        out.put("step", published);
        out.put("index", 0);
        out.put("configuration", "");
        out.put("code", "");
        return out;
    }

    private List<GenericRecord> measures(Portfolio p) {
        double[] values = {
            p.gross, p.net, p.realised, p.unrealised, p.fees, p.samples, p.var95, p.es95, p.var99, p.es99,
        };
        GenericRecord[] out = new GenericRecord[values.length];
        for (int i = 0; i < values.length; i++) {
            out[i] = new GenericData.Record(measure);
            out[i].put("name", MEASURES[i]);
            boolean known = !Double.isNaN(values[i]);
            out[i].put(known ? "value" : "unknown", known ? (Object) values[i] : warmingUp);
        }
        return List.of(out);
    }

    private List<GenericRecord> limits(Portfolio portfolio, long at) {
        GenericRecord[] out = new GenericRecord[terms.limits().size()];
        for (int i = 0; i < out.length; i++) {
            Terms.Limit bound = terms.limits().get(i);
            double value = portfolio.measure(bound.measure());
            out[i] = new GenericData.Record(limit);
            out[i].put("limit", bound.name());
            out[i].put("measure", bound.measure());
            out[i].put("status", standings[portfolio.standings[i]]);
            out[i].put("since", at);
            out[i].put("hard", bound.hard());
            out[i].put("calls_for", normal);
            if (Double.isNaN(value)) {
                out[i].put("unknown", warmingUp);
            } else {
                out[i].put("value", value);
                out[i].put("utilisation", value / bound.hard());
            }
        }
        return List.of(out);
    }
}

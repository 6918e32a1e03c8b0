package tapewatch.peers;

import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Risk figures in, alerts out: one when a limit is breached, one when it no longer is. */
final class Alerting implements Processor<byte[], byte[], String, byte[]> {
    static final String STORE = "firing";
    private final Terms terms;
    private final Wire risk;
    private final Wire alerts;
    private ProcessorContext<String, byte[]> context;
    /** Since when an alert has been firing, by its fingerprint. */
    private KeyValueStore<String, Long> firing;
    private long published;

    Alerting(Terms terms) {
        this.terms = terms;
        risk = new Wire(terms, "risk.metrics.v1");
        alerts = new Wire(terms, "alerts.v1");
    }

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
        this.context = context;
        firing = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        GenericRecord figures = risk.decode(record.value());
        for (Object one : (List<?>) figures.get("limits")) {
            GenericRecord limit = (GenericRecord) one;
            String fingerprint = "limit_breached/" + figures.get("scope") + "/" + limit.get("limit");
            Long since = firing.get(fingerprint);
            boolean breached = limit.get("status").toString().equals("breached");
            if (breached && since == null) {
                since = (Long) figures.get("event_time");
                firing.put(fingerprint, since);
                publish(record, figures, limit, fingerprint, "firing", since);
            } else if (!breached && since != null) {
                firing.delete(fingerprint);
                publish(record, figures, limit, fingerprint, "resolved", since);
            }
        }
    }

    private void publish(
            Record<byte[], byte[]> cause, GenericRecord figures, GenericRecord limit,
            String fingerprint, String state, long since) {
        GenericRecord provenance = new GenericData.Record(alerts.of("provenance"));
        provenance.put("worker", terms.id());
        provenance.put("partition", context.taskId().partition());
        provenance.put("step", ++published);
        provenance.put("index", 0);
        provenance.put("cause", figures.get("id"));
        provenance.put("configuration", "");
        provenance.put("code", "");
        GenericRecord out = new GenericData.Record(alerts.schema);
        out.put("provenance", provenance);
        out.put("id", new UUID(0x8000, Long.MIN_VALUE + published).toString());
        out.put("event_time", figures.get("event_time"));
        out.put("rule", "limit_breached");
        out.put("fingerprint", fingerprint);
        out.put("state", new GenericData.EnumSymbol(alerts.of("state"), state));
        out.put("severity", new GenericData.EnumSymbol(alerts.of("severity"), "CRITICAL"));
        out.put("scope", figures.get("scope"));
        out.put("subject", limit.get("limit"));
        out.put("value", limit.get("value"));
        out.put("threshold", limit.get("hard"));
        out.put("since", since);
        out.put("message", limit.get("limit") + " of " + figures.get("scope") + " is " + limit.get("status"));
        out.put("labels", Map.of());
        context.forward(new Record<>(fingerprint, alerts.encode(out), cause.timestamp()));
    }
}

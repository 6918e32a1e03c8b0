package tapewatch.peers;

import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/** What the load harness compares tapewatch with; runs until SIGTERM. */
public final class Main {
    private static final Serde<byte[]> BYTES = Serdes.ByteArray();

    public static void main(String[] arguments) throws Exception {
        Terms terms = Terms.read(arguments[0]);
        List<KafkaStreams> hops = new ArrayList<>();
        hops.add(new KafkaStreams(risk(terms).build(), settings(terms, terms.id())));
        if (terms.job().equals("latency")) {
            // An application of its own, as alerting is a worker of its own: its transactions are not the first's.
            hops.add(new KafkaStreams(alerting(terms).build(), settings(terms, terms.id() + "-alerting")));
        }
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            hops.forEach(KafkaStreams::close);
            Runtime.getRuntime().halt(0);
        }));
        for (KafkaStreams hop : hops) {
            hop.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
            });
            hop.start();
        }
    }

    private static StreamsBuilder risk(Terms terms) {
        StreamsBuilder builder = new StreamsBuilder();
        Marks marks = new Marks();
        builder.addGlobalStore(
                Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(Marks.STORE), BYTES, BYTES),
                "market.data.v1", Consumed.with(BYTES, BYTES), () -> new Marks.Reader(terms, marks));
        builder.addStateStore(
                Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(Risk.STORE), BYTES, BYTES).withCachingEnabled());
        builder.stream("exec.reports.v1", Consumed.with(BYTES, BYTES))
                .process(() -> new Risk(terms, marks), Risk.STORE)
                .to(terms.figures(), Produced.with(BYTES, BYTES));
        return builder;
    }

    private static StreamsBuilder alerting(Terms terms) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore(Alerting.STORE), Serdes.String(), Serdes.Long()).withCachingEnabled());
        builder.stream(terms.figures(), Consumed.with(BYTES, BYTES))
                .process(() -> new Alerting(terms), Alerting.STORE)
                .to(terms.alerts(), Produced.with(Serdes.String(), BYTES));
        return builder;
    }

    private static Properties settings(Terms terms, String id) throws java.io.IOException {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, id);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, terms.brokers());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, terms.commitEvery());
        // Stock 100 ms: a hop with little to read would look at its commit interval only after that wait.
        settings.put(StreamsConfig.POLL_MS_CONFIG, 10);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory(id).toString());
        return settings;
    }
}

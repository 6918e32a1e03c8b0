package tapewatch.peers;

import java.util.Arrays;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.util.Utf8;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** The mark of each symbol, by the place that the symbol has in every portfolio's arrays. */
final class Marks {
    static final String STORE = "marks";
    private final ConcurrentHashMap<Utf8, Integer> places = new ConcurrentHashMap<>();
    /** All symbols in the order of their places, each with a line's end. */
    private volatile byte[] names = new byte[0];
    private volatile double[] values = new double[0];

    /** The place of a symbol, a new one if it is new. Its mark is not a number until there is one. */
    int place(Utf8 symbol) {
        Integer place = places.get(symbol);
        return place != null ? place : add(new Utf8(symbol));
    }

    private synchronized int add(Utf8 symbol) {
        Integer known = places.get(symbol);
        if (known != null) {
            return known;
        }
        int place = values.length, end = names.length;
        byte[] moreNames = Arrays.copyOf(names, end + symbol.getByteLength() + 1);
        System.arraycopy(symbol.getBytes(), 0, moreNames, end, symbol.getByteLength());
        moreNames[moreNames.length - 1] = '\n';
        double[] moreValues = Arrays.copyOf(values, place + 1);
        moreValues[place] = Double.NaN;
        names = moreNames;
        values = moreValues;
        places.put(symbol, place);
        return place;
    }

    byte[] names() {
        return names;
    }

    double[] values() {
        return values;
    }

    private synchronized void set(int place, double mark) {
        double[] fresh = values.clone();
        fresh[place] = mark;
        values = fresh;
    }

    /** Reads market data, all partitions of it: a global store's processor. The store itself keeps the last record. */
    static final class Reader implements Processor<byte[], byte[], Void, Void> {
        private final Marks marks;
        private final Wire market;
        private KeyValueStore<byte[], byte[]> store;

        Reader(Terms terms, Marks marks) {
            this.marks = marks;
            market = new Wire(terms, "market.data.v1");
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            store = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            store.put(record.key(), record.value());
            GenericRecord data = market.decode(record.value());
            double mark = (Wire.number(data.get("bid")) + Wire.number(data.get("ask"))) / 2;
            if (Double.isNaN(mark)) {
                mark = Wire.number(data.get("last"));
            }
            if (!Double.isNaN(mark)) {
                marks.set(marks.place((Utf8) data.get("symbol")), mark);
            }
        }
    }
}

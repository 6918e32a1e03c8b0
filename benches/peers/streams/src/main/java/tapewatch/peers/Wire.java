package tapewatch.peers;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/** One of the released schemas, in Avro's single-object encoding. Not for more than one thread. */
final class Wire {
    final Schema schema;
    private final byte[] frame;
    private final GenericDatumReader<GenericRecord> reader;
    private final GenericDatumWriter<GenericRecord> writer;
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private BinaryDecoder decoder;
    private BinaryEncoder encoder;
    private GenericRecord last;

    Wire(Terms terms, String name) {
        try {
            schema = new Schema.Parser().parse(terms.schemas().resolve(name + ".avsc").toFile());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        frame = HexFormat.of().parseHex("c301" + terms.fingerprints().get(name));
        // Without conversions, decimals are bytes: only those that are wanted are made numbers.
        GenericData data = new GenericData();
        data.setFastReaderEnabled(true);
        reader = new GenericDatumReader<>(schema, schema, data);
        writer = new GenericDatumWriter<>(schema, data);
    }

    /** The record, which the next call overwrites. */
    GenericRecord decode(byte[] value) {
        if (!Arrays.equals(value, 0, frame.length, frame, 0, frame.length)) {
            throw new IllegalArgumentException("a record of another schema than " + schema.getName());
        }
        try {
            decoder = DecoderFactory.get().binaryDecoder(value, frame.length, value.length - frame.length, decoder);
            return last = reader.read(last, decoder);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    byte[] encode(GenericRecord record) {
        try {
            out.reset();
            out.write(frame);
            encoder = EncoderFactory.get().binaryEncoder(out, encoder);
            writer.write(record, encoder);
            encoder.flush();
            return out.toByteArray();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    Schema of(String field) {
        return schema.getField(field).schema();
    }

    /** A decimal(28,12) as a double; not a number if there is none. */
    static double number(Object decimal) {
        if (decimal == null) {
            return Double.NaN;
        }
        ByteBuffer bytes = (ByteBuffer) decimal;
        byte[] unscaled = bytes.array();
        return new BigInteger(unscaled, bytes.arrayOffset() + bytes.position(), bytes.remaining()).doubleValue() / 1e12;
    }
}

package tapewatch.peers;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.avro.util.Utf8;

/** A book by average cost, the last changes of profit and loss at fills, limits: the conventions of docs/risk.md. */
final class Portfolio {
    private static final long NOTHING_DUE = Long.MAX_VALUE;
    private final Terms terms;
    private double[] quantities = new double[0];
    private double[] costs = new double[0];
    /** Profit and loss at the last fill; not a number before the first. */
    private double profit = Double.NaN;
    private final double[] window;
    /** What the window holds, ascending. */
    private final double[] ascending;
    private int next;
    /** The instant of the next level. */
    long due = NOTHING_DUE;
    /** Per limit: breached at its last evaluation, not evaluated yet, or neither. */
    final byte[] standings;

    static final byte UNKNOWN = 0;
    static final byte OK = 1;
    static final byte BREACHED = 2;

    int samples;
    double realised, fees, unrealised, gross, net, largest, var95, es95, var99, es99;

    Portfolio(Terms terms) {
        this.terms = terms;
        window = new double[terms.window()];
        ascending = new double[terms.window()];
        standings = new byte[terms.limits().size()];
        tails();
    }

    boolean isDue(long at) {
        return at >= due;
    }

    void published() {
        due = NOTHING_DUE;
    }

    /** Books a fill (quantity negative for a sale) and computes all figures anew. */
    void fill(int place, double quantity, double price, double fee, double[] marks) {
        if (place >= quantities.length) {
            quantities = Arrays.copyOf(quantities, marks.length);
            costs = Arrays.copyOf(costs, marks.length);
        }
        book(place, quantity, price);
        fees += fee;
        value(marks);
        double now = realised + unrealised - fees;
        if (!Double.isNaN(profit)) {
            push(now - profit);
        }
        profit = now;
        tails();
    }

    /** There is something new to say, at the next boundary of the interval. */
    void changed(long at) {
        if (due == NOTHING_DUE) {
            due = Math.floorDiv(at, terms.publishEvery()) * terms.publishEvery() + terms.publishEvery();
        }
    }

    private void book(int place, double quantity, double price) {
        double held = quantities[place], cost = costs[place], after = held + quantity;
        if (held == 0 || held > 0 == quantity > 0) {
            cost += quantity * price;
        } else if (after == 0 || after > 0 == held > 0) {
            double closed = cost * (-quantity / held);
            realised += -quantity * price - closed;
            cost -= closed;
        } else {
            realised += held * price - cost;
            cost = after * price;
        }
        quantities[place] = after;
        costs[place] = cost;
    }

    private void value(double[] marks) {
        double open = 0;
        gross = net = largest = 0;
        for (int i = 0; i < quantities.length; i++) {
            open += costs[i];
            if (quantities[i] != 0) {
                double value = quantities[i] * marks[i], size = Math.abs(value);
                net += value;
                gross += size;
                largest = Math.max(largest, size);
            }
        }
        unrealised = net - open;
    }

    /** One change more; the oldest leaves a full window. */
    private void push(double change) {
        int size = samples;
        if (samples == window.length) {
            int out = Arrays.binarySearch(ascending, 0, size, window[next]);
            System.arraycopy(ascending, out + 1, ascending, out, size - out - 1);
            size--;
        } else {
            samples++;
        }
        int found = Arrays.binarySearch(ascending, 0, size, change), in = found < 0 ? -found - 1 : found;
        System.arraycopy(ascending, in, ascending, in + 1, size - in);
        ascending[in] = change;
        window[next] = change;
        next = (next + 1) % window.length;
    }

    private void tails() {
        if (samples >= terms.minimum()) {
            var95 = -quantile(0.05);
            es95 = -shortfall(0.05);
            var99 = -quantile(0.01);
            es99 = -shortfall(0.01);
        } else {
            var95 = es95 = var99 = es99 = Double.NaN;
        }
    }

    /** Type 7. */
    private double quantile(double tail) {
        double at = (samples - 1) * tail;
        int below = (int) at;
        return ascending[below] + (ascending[below + 1] - ascending[below]) * (at - below);
    }

    /** Acerbi and Tasche's: the mean of the n·tail worst, the last of them with its fractional weight. */
    private double shortfall(double tail) {
        double weight = samples * tail, sum = 0;
        int whole = (int) weight;
        for (int i = 0; i < whole; i++) {
            sum += ascending[i];
        }
        return (sum + (weight - whole) * ascending[whole]) / weight;
    }

    /** What a limit bounds; not a number if it is unknown. */
    double measure(String name) {
        return switch (name) {
            case "var_95" -> var95;
            case "es_95" -> es95;
            case "var_99" -> var99;
            case "es_99" -> es99;
            case "gross_exposure" -> gross;
            case "position" -> largest;
            default -> throw new IllegalArgumentException(name);
        };
    }

    /** Where every limit stands now; true if any stands otherwise than before. */
    boolean evaluate() {
        boolean changed = false;
        for (int i = 0; i < standings.length; i++) {
            Terms.Limit limit = terms.limits().get(i);
            double value = measure(limit.measure());
            double bound = standings[i] == BREACHED ? limit.hard() * (1 - limit.hysteresis()) : limit.hard();
            byte now = Double.isNaN(value) ? UNKNOWN : value > bound ? BREACHED : OK;
            changed |= now != standings[i];
            standings[i] = now;
        }
        return changed;
    }

    /** All that cannot be computed anew, for the store: a few copies in bulk, since it is put there at each fill. */
    byte[] toBytes(Marks marks) {
        byte[] names = marks.names();
        int held = quantities.length;
        int size = 8 * 4 + 4 * 4 + standings.length + names.length + 8 * (samples + 2 * held);
        ByteBuffer out = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        out.putDouble(profit).putDouble(realised).putDouble(fees).putLong(due);
        out.putInt(next).putInt(samples).putInt(held).putInt(names.length).put(standings).put(names);
        out.asDoubleBuffer().put(quantities).put(costs).put(window, 0, samples);
        return out.array();
    }

    static Portfolio fromBytes(byte[] bytes, Terms terms, Marks marks) {
        ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        Portfolio portfolio = new Portfolio(terms);
        portfolio.profit = in.getDouble();
        portfolio.realised = in.getDouble();
        portfolio.fees = in.getDouble();
        portfolio.due = in.getLong();
        portfolio.next = in.getInt();
        portfolio.samples = in.getInt();
        int held = in.getInt();
        byte[] names = new byte[in.getInt()];
        in.get(portfolio.standings).get(names);
        double[] quantities = new double[held], costs = new double[held];
        in.asDoubleBuffer().get(quantities).get(costs).get(portfolio.window, 0, portfolio.samples);
        System.arraycopy(portfolio.window, 0, portfolio.ascending, 0, portfolio.samples);
        Arrays.sort(portfolio.ascending, 0, portfolio.samples);
        // Symbols may have other places in this process.
        String[] symbols = new String(names, StandardCharsets.UTF_8).split("\n");
        int[] places = new int[held];
        for (int i = 0; i < held; i++) {
            places[i] = marks.place(new Utf8(symbols[i]));
        }
        portfolio.quantities = new double[marks.values().length];
        portfolio.costs = new double[portfolio.quantities.length];
        for (int i = 0; i < held; i++) {
            portfolio.quantities[places[i]] = quantities[i];
            portfolio.costs[places[i]] = costs[i];
        }
        portfolio.tails();
        portfolio.value(marks.values());
        return portfolio;
    }
}

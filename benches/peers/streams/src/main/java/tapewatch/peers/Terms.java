package tapewatch.peers;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** What the load harness tells a peer: the settings that the risk worker runs with. */
record Terms(
        String job,
        String brokers,
        String id,
        Path schemas,
        Map<String, String> fingerprints,
        String figures,
        String alerts,
        int window,
        int minimum,
        @JsonProperty("publish_every_us") long publishEvery,
        @JsonProperty("commit_every_ms") int commitEvery,
        List<Limit> limits) {

    /** A bound on a measure. */
    record Limit(String name, String measure, double hard, double hysteresis) {}

    static Terms read(String json) throws java.io.IOException {
        return new ObjectMapper().readValue(json, Terms.class);
    }
}

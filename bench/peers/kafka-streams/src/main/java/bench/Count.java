package bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.Stores;

/**
 * The same work in Kafka Streams: the report of the highest revision of each station, seven totals over them, standings
 * out. Written as the documentation of its DSL has it, KTable reduce, then groupBy and aggregate with an adder and a
 * subtractor; both stores in memory with their changelogs, so that it survives a restart as the product does.
 *
 * <p>Arguments: bootstrap, input topic, output topic, application id, partitions, candidates (comma separated), then
 * settings as name=value: threads, guarantee, commit_ms, cache_mib, linger_ms, state_dir. "first" on standard output
 * tells that the first record is in hand. An output message says how many records of each partition are in it.
 */
public final class Count {
    private static final JsonFactory JSON = new JsonFactory();
    private static final AtomicBoolean HAS_BEGUN = new AtomicBoolean();

    /** A station's report of the highest revision, with the number of its records seen so far, by their partition. */
    record Report(int partition, int seen, int revision, int[] votes) {}

    /** What stands in every total: sums over stations, and records seen of each partition. */
    record Totals(long[] seen, long[] votes) {
        Totals with(Report report, int sign) {
            long[] nextSeen = seen.clone();
            long[] nextVotes = votes.clone();
            nextSeen[report.partition] += sign * report.seen;
            for (int i = 0; i < nextVotes.length; i++) {
                nextVotes[i] += sign * report.votes[i];
            }
            return new Totals(nextSeen, nextVotes);
        }
    }

    public static void main(String[] arguments) throws Exception {
        List<String> candidates = Arrays.asList(arguments[5].split(","));
        int partitions = Integer.parseInt(arguments[4]);
        Properties settings = settings(arguments);
        StreamsBuilder builder = new StreamsBuilder();
        declare(builder, arguments[1], arguments[2], partitions, candidates);
        KafkaStreams streams = new KafkaStreams(builder.build(settings), settings);
        CountDownLatch ended = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(
                error -> {
                    error.printStackTrace();
                    Runtime.getRuntime().halt(1);
                    return null;
                });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close();
            ended.countDown();
        }));
        streams.start();
        ended.await();
    }

    private static void declare(
            StreamsBuilder builder, String input, String output, int partitions, List<String> candidates) {
        Serde<Report> reportSerde = Serdes.serdeFrom((t, r) -> write(r), (t, b) -> read(b, candidates.size()));
        Serde<Totals> totalsSerde =
                Serdes.serdeFrom((t, s) -> write(s), (t, b) -> readTotals(b, partitions, candidates.size()));
        Serde<Report> jsonSerde =
                Serdes.serdeFrom((t, r) -> null, (t, b) -> parse(b, candidates));

        KTable<Bytes, Report> latest = builder.stream(input, Consumed.with(Serdes.Bytes(), jsonSerde))
                .processValues(Stamp::new)
                .groupByKey(Grouped.with(Serdes.Bytes(), reportSerde))
                .reduce(
                        Count::higher,
                        Materialized.<Bytes, Report>as(Stores.inMemoryKeyValueStore("latest"))
                                .withKeySerde(Serdes.Bytes())
                                .withValueSerde(reportSerde));
        latest.groupBy((station, report) -> KeyValue.pair("PRES", report), Grouped.with(Serdes.String(), reportSerde))
                .aggregate(
                        () -> new Totals(new long[partitions], new long[candidates.size()]),
                        (contest, report, totals) -> totals.with(report, 1),
                        (contest, report, totals) -> totals.with(report, -1),
                        Materialized.<String, Totals>as(Stores.inMemoryKeyValueStore("totals"))
                                .withKeySerde(Serdes.String())
                                .withValueSerde(totalsSerde))
                .toStream()
                .mapValues(totals -> "{\"seen\":" + Arrays.toString(totals.seen) + ",\"totals\":"
                        + Arrays.toString(totals.votes) + "}")
                .to(output, Produced.with(Serdes.String(), Serdes.String()));
    }

    /** The report of the higher revision; all records of the station are counted as seen. */
    private static Report higher(Report old, Report next) {
        Report winner = next.revision >= old.revision ? next : old;
        return new Report(winner.partition, old.seen + next.seen, winner.revision, winner.votes);
    }

    /** Puts the partition into a report, which only the record's metadata know. */
    private static final class Stamp implements FixedKeyProcessor<Bytes, Report, Report> {
        private FixedKeyProcessorContext<Bytes, Report> context;

        @Override
        public void init(FixedKeyProcessorContext<Bytes, Report> given) {
            context = given;
        }

        @Override
        public void process(FixedKeyRecord<Bytes, Report> record) {
            if (!HAS_BEGUN.get() && HAS_BEGUN.compareAndSet(false, true)) {
                System.out.println("first");
            }
            Report report = record.value();
            if (report != null) {
                int partition = context.recordMetadata().orElseThrow().partition();
                context.forward(record.withValue(new Report(partition, 1, report.revision, report.votes)));
            }
        }
    }

    /** A report from JSON, or null where it cannot be decoded: the streaming parser, no object tree. */
    private static Report parse(byte[] value, List<String> candidates) {
        int revision = 0;
        int[] votes = null;
        try (JsonParser parser = JSON.createParser(value)) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                parser.nextToken();
                if (name.equals("revision")) {
                    revision = parser.getIntValue();
                } else if (name.equals("votes")) {
                    votes = new int[candidates.size()];
                    while (parser.nextToken() == JsonToken.FIELD_NAME) {
                        int candidate = candidates.indexOf(parser.currentName());
                        parser.nextToken();
                        votes[candidate] = parser.getIntValue();
                    }
                } else {
                    parser.skipChildren();
                }
            }
        } catch (IOException | IndexOutOfBoundsException error) {
            return null;
        }
        return votes == null ? null : new Report(0, 1, revision, votes);
    }

    private static byte[] write(Report report) {
        if (report == null) {
            return null;
        }
        ByteBuffer buffer = ByteBuffer.allocate(12 + 4 * report.votes.length);
        buffer.putInt(report.partition).putInt(report.seen).putInt(report.revision);
        buffer.asIntBuffer().put(report.votes);
        return buffer.array();
    }

    private static Report read(byte[] bytes, int candidates) {
        if (bytes == null) {
            return null;
        }
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        Report head = new Report(buffer.getInt(), buffer.getInt(), buffer.getInt(), new int[candidates]);
        buffer.asIntBuffer().get(head.votes);
        return head;
    }

    private static byte[] write(Totals totals) {
        if (totals == null) {
            return null;
        }
        ByteBuffer buffer = ByteBuffer.allocate(8 * (totals.seen.length + totals.votes.length));
        buffer.asLongBuffer().put(totals.seen).put(totals.votes);
        return buffer.array();
    }

    private static Totals readTotals(byte[] bytes, int partitions, int candidates) {
        if (bytes == null) {
            return null;
        }
        Totals totals = new Totals(new long[partitions], new long[candidates]);
        ByteBuffer.wrap(bytes).asLongBuffer().get(totals.seen).get(totals.votes);
        return totals;
    }

    private static Properties settings(String[] arguments) {
        Properties given = new Properties();
        for (String argument : Arrays.copyOfRange(arguments, 6, arguments.length)) {
            String[] parts = argument.split("=", 2);
            given.setProperty(parts[0], parts[1]);
        }
        Properties p = new Properties();
        p.putAll(Map.of(
                StreamsConfig.APPLICATION_ID_CONFIG, arguments[3],
                StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0],
                StreamsConfig.STATE_DIR_CONFIG, given.getProperty("state_dir"),
                StreamsConfig.NUM_STREAM_THREADS_CONFIG, given.getProperty("threads", "1"),
                StreamsConfig.PROCESSING_GUARANTEE_CONFIG, given.getProperty("guarantee", "at_least_once"),
                StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, given.getProperty("commit_ms", "1000"),
                StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE,
                StreamsConfig.REPLICATION_FACTOR_CONFIG, "1"));
        p.put(
                StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG,
                Long.parseLong(given.getProperty("cache_mib", "64")) << 20);
        // Larger than the defaults (1000 records a partition and a poll): fewer rounds for the same records.
        p.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, "10000");
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), "10000");
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        p.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), given.getProperty("linger_ms", "100"));
        p.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), "262144");
        p.put(
                StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG),
                given.getProperty("compression", "lz4"));
        return p;
    }

    private Count() {}
}

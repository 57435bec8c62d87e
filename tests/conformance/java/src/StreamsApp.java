import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import java.util.function.Supplier;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * A Kafka Streams application: {@code StreamsApp TOPOLOGY INPUT OUTPUT PROPERTIES_FILE HTTP_PORT}. Its state
 * store is asked by HTTP: {@code /state} is the client's state, {@code /counts} has a line {@code KEY COUNT}
 * for each key in the store of this instance, {@code /tasks} one {@code active|standby TASK} for each task that it runs,
 * {@code /owners} one {@code HOST:PORT TOPIC PARTITION} for each partition whose state can be asked for somewhere. It ends on SIGTERM.
 */
public class StreamsApp {
    private static final String STORE = "counts";

    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        try (var reader = java.nio.file.Files.newBufferedReader(Path.of(args[3]))) {
            properties.load(reader);
        }
        StreamsBuilder builder = new StreamsBuilder();
        switch (args[0]) {
            case "words" -> words(builder, args[1], args[2]);
            case "chain" -> chain(builder, args[1], args[2]);
            default -> throw new IllegalArgumentException(args[0]);
        }
        KafkaStreams streams = new KafkaStreams(builder.build(), properties);
        streams.setUncaughtExceptionHandler(failure -> {
            System.out.println("uncaught: " + failure);
            failure.printStackTrace(System.out);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        serve(Integer.parseInt(args[4]), streams);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            boolean closed = streams.close(Duration.ofSeconds(60));
            System.out.println(closed ? "closed" : "not closed in time");
        }));
        streams.start();
    }

    /** How often each word of the input's lines came: a repartition topic, a changelog, a store. */
    private static void words(StreamsBuilder builder, String input, String output) {
        builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()))
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()).withName("words"))
            .count(Materialized.<String, Long>as(Stores.persistentKeyValueStore(STORE))
                .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
            .toStream()
            .mapValues(String::valueOf)
            .to(output, Produced.with(Serdes.String(), Serdes.String()));
    }

    /** Each value followed by how many of its key have been seen with it, by way of a second topic. */
    private static void chain(StreamsBuilder builder, String input, String output) {
        builder.addStateStore(
            Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.Long()));
        builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()))
            .processValues(Counting::new, STORE)
            .repartition(Repartitioned.with(Serdes.String(), Serdes.String()).withName("again").withNumberOfPartitions(3))
            .to(output, Produced.with(Serdes.String(), Serdes.String()));
    }

    private static final class Counting implements FixedKeyProcessor<String, String, String> {
        private FixedKeyProcessorContext<String, String> context;
        private KeyValueStore<String, Long> store;

        @Override
        public void init(FixedKeyProcessorContext<String, String> context) {
            this.context = context;
            store = context.getStateStore(STORE);
        }

        @Override
        public void process(FixedKeyRecord<String, String> record) {
            Long before = store.get(record.key());
            long count = (before == null ? 0 : before) + 1;
            store.put(record.key(), count);
            context.forward(record.withValue(record.value() + ":" + count));
        }
    }

    private static void serve(int port, KafkaStreams streams) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        answer(server, "/state", () -> streams.state().name());
        answer(server, "/counts", () -> {
            ReadOnlyKeyValueStore<String, Long> store =
                streams.store(StoreQueryParameters.fromNameAndType(STORE, QueryableStoreTypes.keyValueStore()));
            StringBuilder text = new StringBuilder();
            try (var all = store.all()) {
                all.forEachRemaining(entry -> text.append(entry.key).append(' ').append(entry.value).append('\n'));
            }
            return text.toString();
        });
        answer(server, "/tasks", () -> {
            StringBuilder text = new StringBuilder();
            streams.metadataForLocalThreads().forEach(thread -> {
                thread.activeTasks().forEach(task -> text.append("active ").append(task.taskId()).append('\n'));
                thread.standbyTasks().forEach(task -> text.append("standby ").append(task.taskId()).append('\n'));
            });
            return text.toString();
        });
        answer(server, "/owners", () -> {
            StringBuilder text = new StringBuilder();
            streams.streamsMetadataForStore(STORE).forEach(it -> it.topicPartitions().forEach(place ->
                text.append(it.host()).append(':').append(it.port()).append(' ').append(place.topic()).append(' ')
                    .append(place.partition()).append('\n')));
            return text.toString();
        });
        server.start();
    }

    private static void answer(HttpServer server, String path, Supplier<String> text) {
        server.createContext(path, exchange -> {
            int code = 200;
            String body;
            try {
                body = text.get();
            } catch (RuntimeException notNow) {
                code = 503;
                body = notNow.toString();
            }
            byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(code, bytes.length == 0 ? -1 : bytes.length);
            try (var out = exchange.getResponseBody()) {
                out.write(bytes);
            }
        });
    }
}

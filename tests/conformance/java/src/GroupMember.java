import java.time.Duration;
import java.util.Collection;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A consumer: {@code GroupMember BOOTSTRAP GROUP TOPIC [NAME=VALUE...]}. A topic that begins with ^ is a regular expression
 * for the broker. Prints what it is assigned (JSON) whenever that changes, and {@code TOPIC PARTITION OFFSET} of each record.
 * Ends on SIGTERM, and leaves its group.
 */
public class GroupMember {
    private static final TreeSet<String> MINE = new TreeSet<>();

    private static synchronized void change(Collection<TopicPartition> partitions, boolean gains) {
        for (TopicPartition it : partitions) {
            String name = "[\"" + it.topic() + "\", " + it.partition() + "]";
            if (gains) {
                MINE.add(name);
            } else {
                MINE.remove(name);
            }
        }
        System.out.println(MINE.stream().collect(Collectors.joining(", ", "[", "]")));
    }

    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.putAll(Map.of("bootstrap.servers", args[0], "group.id", args[1], "auto.offset.reset", "earliest",
            "auto.commit.interval.ms", "500"));
        for (int i = 3; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            properties.put(pair[0], pair[1]);
        }
        var bytes = new ByteArrayDeserializer();
        var consumer = new KafkaConsumer<byte[], byte[]>(properties, bytes, bytes);
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join(60_000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        var listener = new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                change(partitions, true);
            }

            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                change(partitions, false);
            }
        };
        if (args[2].startsWith("^")) {
            consumer.subscribe(new SubscriptionPattern(args[2]), listener);
        } else {
            consumer.subscribe(java.util.List.of(args[2]), listener);
        }
        try (consumer) {
            while (true) {
                try {
                    for (var it : consumer.poll(Duration.ofMillis(200))) {
                        System.out.println(it.topic() + " " + it.partition() + " " + it.offset());
                    }
                } catch (WakeupException e) {
                    throw e;
                } catch (KafkaException e) {
                    // Of brokers that are away for a while.
                    e.printStackTrace();
                }
            }
        } catch (WakeupException e) {
            System.err.println("asked to end");
        }
    }
}

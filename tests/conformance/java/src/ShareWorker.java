import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a share group that accepts, releases and rejects, and says so line by line when the broker has taken it:
 * "accepted|released|rejected PARTITION OFFSET DELIVERY_COUNT". What its value says (a number) decides: every tenth is released at
 * first, every twenty-fifth rejected. Ends with SIGTERM. Or it says where the group begins: "start PARTITION OFFSET".
 *
 * <p>Usage: ShareWorker work BOOTSTRAP GROUP TOPIC | ShareWorker offsets BOOTSTRAP GROUP
 */
public final class ShareWorker {
    private record Said(String what, TopicIdPartition tip, ConsumerRecord<String, String> record) {
        boolean isOf(TopicIdPartition other) {
            return tip.topicPartition().equals(other.topicPartition());
        }
    }

    public static void main(String[] args) throws Exception {
        Map<String, Object> admins = Map.of("bootstrap.servers", args[1]);
        try (Admin admin = Admin.create(admins)) {
            if (args[0].equals("offsets")) {
                offsets(admin, args[2]);
                return;
            }
            ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, args[2]);
            ConfigEntry earliest = new ConfigEntry("share.auto.offset.reset", "earliest");
            AlterConfigOp set = new AlterConfigOp(earliest, AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Map.of(group, List.of(set))).all().get();
        }
        work(args[1], args[2], args[3]);
    }

    private static void offsets(Admin admin, String group) throws Exception {
        ListShareGroupOffsetsSpec all = new ListShareGroupOffsetsSpec();
        admin.listShareGroupOffsets(Map.of(group, all)).partitionsToOffsetInfo(group).get().forEach((tp, it) ->
            System.out.println("start " + tp.partition() + " " + (it == null ? -1 : it.startOffset())));
    }

    private static void work(String bootstrap, String group, String topic) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("group.id", group);
        config.put("key.deserializer", StringDeserializer.class.getName());
        config.put("value.deserializer", StringDeserializer.class.getName());
        config.put("share.acknowledgement.mode", "explicit");
        config.put("max.poll.records", "50");
        KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(config);
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        consumer.subscribe(List.of(topic));
        try {
            while (true) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(500));
                if (records.isEmpty()) {
                    continue;
                }
                List<Said> said = new ArrayList<>();
                for (ConsumerRecord<String, String> record : records) {
                    long value = Long.parseLong(record.value());
                    String what = "accepted";
                    AcknowledgeType type = AcknowledgeType.ACCEPT;
                    if (value % 25 == 24) {
                        what = "rejected";
                        type = AcknowledgeType.REJECT;
                    } else if (value % 10 == 5 && record.deliveryCount().orElse((short) 1) < 2) {
                        what = "released";
                        type = AcknowledgeType.RELEASE;
                    }
                    consumer.acknowledge(record, type);
                    TopicIdPartition tip = new TopicIdPartition(Uuid.ZERO_UUID, record.partition(), record.topic());
                    said.add(new Said(what, tip, record));
                }
                Map<TopicIdPartition, Optional<KafkaException>> results = consumer.commitSync(Duration.ofSeconds(30));
                Set<TopicIdPartition> failed = new HashSet<>();
                results.forEach((tip, error) -> error.ifPresent(why -> {
                    failed.add(tip);
                    System.out.println("failed " + tip.partition() + " " + why);
                }));
                for (Said it : said) {
                    if (failed.stream().noneMatch(it::isOf)) {
                        ConsumerRecord<String, String> record = it.record();
                        System.out.println(it.what() + " " + record.partition() + " " + record.offset() + " "
                            + record.deliveryCount().orElse((short) 0));
                    }
                }
                System.out.flush();
            }
        } catch (WakeupException e) {
            // It is to end.
        } finally {
            consumer.close(Duration.ofSeconds(10));
        }
    }
}

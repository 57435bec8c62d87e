import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

import org.apache.kafka.common.errors.StreamsInvalidTopologyException;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.coordinator.common.runtime.CoordinatorMetadataImage;
import org.apache.kafka.coordinator.group.generated.StreamsGroupTopologyValue;
import org.apache.kafka.coordinator.group.generated.StreamsGroupTopologyValue.CopartitionGroup;
import org.apache.kafka.coordinator.group.generated.StreamsGroupTopologyValue.Subtopology;
import org.apache.kafka.coordinator.group.generated.StreamsGroupTopologyValue.TopicInfo;
import org.apache.kafka.coordinator.group.streams.StreamsTopology;
import org.apache.kafka.coordinator.group.streams.assignor.AssignmentMemberSpec;
import org.apache.kafka.coordinator.group.streams.assignor.GroupSpecImpl;
import org.apache.kafka.coordinator.group.streams.assignor.MemberAssignment;
import org.apache.kafka.coordinator.group.streams.assignor.StickyTaskAssignor;
import org.apache.kafka.coordinator.group.streams.assignor.TopologyDescriber;
import org.apache.kafka.coordinator.group.streams.topics.ConfiguredTopology;
import org.apache.kafka.coordinator.group.streams.topics.InternalTopicManager;
import org.slf4j.LoggerFactory;

/**
 * What Apache Kafka 4.3.1 makes of random streams groups and topologies: one case a line, as JSON, with what went in and what came
 * out. Klamm's unit tests expect the same; tests/conformance/expected has the lines.
 *
 *   java -cp "$KAFKA_LIBS/*" tests/conformance/streams-groups/StreamsOracle.java tasks >tests/conformance/expected/streams-tasks.jsonl
 *   java -cp "$KAFKA_LIBS/*" tests/conformance/streams-groups/StreamsOracle.java topologies >tests/conformance/expected/streams-topologies.jsonl
 *
 * KAFKA_LIBS is a directory of Kafka's jars, as tests/conformance/kafka-tools.py has Maven bring them. Names are such that Java's hash tables go
 * through them in their order; cases where they do not are left out.
 */
public class StreamsOracle {
    public static void main(String[] args) {
        switch (args[0]) {
            case "tasks" -> tasks(Integer.parseInt(args.length > 1 ? args[1] : "12"));
            case "topologies" -> topologies(Integer.parseInt(args.length > 1 ? args[1] : "5"));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    /** Groups whose members come and go, some of a process at once, and whose subtopologies grow. */
    private static void tasks(int seeds) {
        for (int seed = 0; seed < seeds; seed++) {
            Random random = new Random(seed);
            Map<String, int[]> subtopologies = new TreeMap<>();
            Map<String, String> processes = new TreeMap<>();
            Map<String, MemberAssignment> assigned = new TreeMap<>();
            int standbys = random.nextInt(3);
            for (int round = 0; round < 7; round++) {
                change(random, subtopologies, processes, round == 0 ? 4 : 1 + random.nextInt(2));
                if (random.nextInt(6) == 0) {
                    standbys = random.nextInt(3);
                }
                assigned.keySet().retainAll(processes.keySet());
                Map<String, AssignmentMemberSpec> members = new LinkedHashMap<>();
                List<String> told = new ArrayList<>();
                processes.forEach((member, process) -> {
                    MemberAssignment had = assigned.getOrDefault(member, MemberAssignment.empty());
                    members.put(member, new AssignmentMemberSpec(Optional.empty(), Optional.empty(), had.activeTasks(),
                        had.standbyTasks(), Map.of(), process, Map.of(), Map.of(), Map.of()));
                    told.add("{\"id\":" + text(member) + ",\"process\":" + text(process) + "," + shown(had) + "}");
                });
                Map<String, MemberAssignment> result = new StickyTaskAssignor().assign(
                    new GroupSpecImpl(members, Map.of("num.standby.replicas", String.valueOf(standbys))),
                    describer(subtopologies)).members();
                if (inOrder(processes.values(), processes.size())) {
                    System.out.println("{\"standbys\":" + standbys
                        + ",\"subtopologies\":" + object(subtopologies, it -> "[" + it[0] + "," + (it[1] != 0) + "]")
                        + ",\"members\":[" + String.join(",", told) + "]"
                        + ",\"assigned\":" + object(new TreeMap<>(result), it -> "{" + shown(it) + "}") + "}");
                }
                assigned.putAll(result);
            }
        }
    }

    private static void change(Random random, Map<String, int[]> subtopologies, Map<String, String> processes, int times) {
        for (int time = 0; time < times || processes.isEmpty() || subtopologies.isEmpty(); time++) {
            switch (random.nextInt(5)) {
                case 0 -> processes.values().remove(String.valueOf((char) ('a' + random.nextInt(5))));
                case 1 -> {
                    String id = String.valueOf((char) ('a' + random.nextInt(4)));
                    int before = subtopologies.containsKey(id) ? subtopologies.get(id)[0] : 0;
                    int stateful = subtopologies.containsKey(id) ? subtopologies.get(id)[1] : random.nextInt(3);
                    subtopologies.put(id, new int[] {before + random.nextInt(6), stateful});
                }
                default -> processes.put("m" + random.nextInt(10), String.valueOf((char) ('a' + random.nextInt(5))));
            }
        }
    }

    private static TopologyDescriber describer(Map<String, int[]> subtopologies) {
        return new TopologyDescriber() {
            public List<String> subtopologies() {
                return List.copyOf(subtopologies.keySet());
            }

            public int maxNumInputPartitions(String id) {
                return subtopologies.get(id)[0];
            }

            public boolean isStateful(String id) {
                return subtopologies.get(id)[1] != 0;
            }
        };
    }

    /** Topologies, sensible and not, of topics that mostly exist: so many of each outcome. */
    private static void topologies(int each) {
        Map<String, Integer> seen = new HashMap<>();
        for (int seed = 0; seed < 20_000; seed++) {
            Random random = new Random(seed);
            List<Subtopology> subtopologies = new ArrayList<>();
            for (int id = 0; id < 1 + random.nextInt(5); id++) {
                subtopologies.add(subtopology(random, id));
            }
            Map<String, Integer> topics = new TreeMap<>();
            int usual = 1 + random.nextInt(4);
            for (char topic = 'a'; topic <= 'o'; topic++) {
                if (random.nextInt(10) < (topic <= 'e' ? 9 : 3)) {
                    topics.put(String.valueOf(topic), random.nextInt(8) == 0 ? 1 + random.nextInt(5) : usual);
                }
            }
            String kind;
            String result;
            try {
                StreamsTopology topology = StreamsTopology.fromRecord(
                    new StreamsGroupTopologyValue().setEpoch(1).setSubtopologies(subtopologies));
                ConfiguredTopology configured = InternalTopicManager.configureTopics(
                    LoggerFactory.getLogger(StreamsOracle.class), "group", "member", 0, topology, image(topics), Time.SYSTEM);
                String status = configured.topicConfigurationException().map(it -> it.status().name()).orElse("READY");
                String detail = configured.topicConfigurationException().map(Throwable::getMessage).orElse("");
                kind = status + detail.replaceAll("[^A-Z a-z]| [a-o]\\b.*", "");
                if (status.equals("MISSING_INTERNAL_TOPICS") || status.equals("READY")) {
                    kind = status;
                }
                result = "{\"status\":" + text(status) + ",\"detail\":" + text(detail)
                    + ",\"tasks\":" + configured.subtopologies().map(it -> object(it, one -> "" + one.numberOfTasks())).orElse("null")
                    + ",\"create\":" + object(new TreeMap<>(configured.internalTopicsToBeCreated()),
                        it -> "[" + it.numPartitions() + "," + it.replicationFactor() + "]") + "}";
            } catch (StreamsInvalidTopologyException e) {
                kind = e.getMessage().replaceAll("\\d|\\[.*", "");
                result = "{\"invalid\":" + text(e.getMessage()) + "}";
            }
            if (seen.merge(kind, 1, Integer::sum) <= (kind.startsWith("READY") || kind.startsWith("MISSING_I") ? 3 * each : each)) {
                System.out.println("{\"topology\":" + list(subtopologies, StreamsOracle::shown)
                    + ",\"topics\":" + object(topics, String::valueOf) + ",\"result\":" + result + "}");
            }
        }
    }

    private static Subtopology subtopology(Random random, int id) {
        List<TopicInfo> repartition = some(random, 'f', 2).stream().map(name -> new TopicInfo().setName(name)
            .setPartitions(random.nextInt(4) == 0 ? 1 + random.nextInt(3) : 0)
            .setReplicationFactor((short) random.nextInt(3))).toList();
        List<String> sources = some(random, 'a', 2);
        List<CopartitionGroup> groups = new ArrayList<>();
        for (int group = 0; group < random.nextInt(3); group++) {
            groups.add(new CopartitionGroup()
                .setSourceTopics(places(random, sources.size())).setRepartitionSourceTopics(places(random, repartition.size())));
        }
        return new Subtopology().setSubtopologyId(String.valueOf(id)).setSourceTopics(sources)
            .setRepartitionSinkTopics(some(random, 'f', 3)).setRepartitionSourceTopics(repartition)
            .setStateChangelogTopics(some(random, 'k', 2).stream().map(name -> new TopicInfo().setName(name)).toList())
            .setCopartitionGroups(groups);
    }

    private static List<String> some(Random random, char first, int most) {
        Set<String> names = new TreeSet<>();
        for (int i = random.nextInt(most + 1); i > 0; i--) {
            names.add(String.valueOf((char) (first + random.nextInt(5))));
        }
        return List.copyOf(names);
    }

    private static List<Short> places(Random random, int count) {
        List<Short> places = new ArrayList<>();
        for (short place = 0; place < count; place++) {
            if (random.nextInt(4) > 0) {
                places.add(place);
            }
        }
        return places;
    }

    private static CoordinatorMetadataImage image(Map<String, Integer> topics) {
        ClassLoader loader = StreamsOracle.class.getClassLoader();
        return (CoordinatorMetadataImage) Proxy.newProxyInstance(loader, new Class<?>[] {CoordinatorMetadataImage.class},
            (self, method, args) -> Optional.ofNullable(topics.get(args[0])).map(count -> Proxy.newProxyInstance(loader,
                new Class<?>[] {CoordinatorMetadataImage.TopicMetadata.class}, (topic, asked, none) -> count)));
    }

    private static boolean inOrder(Collection<String> names, int capacity) {
        Map<String, Integer> table = new HashMap<>(capacity);
        names.forEach(it -> table.put(it, 0));
        return List.copyOf(table.keySet()).equals(List.copyOf(new TreeSet<>(names)));
    }

    private static String shown(MemberAssignment assignment) {
        return "\"active\":" + shown(assignment.activeTasks()) + ",\"standby\":" + shown(assignment.standbyTasks());
    }

    private static String shown(Map<String, Set<Integer>> tasks) {
        return object(new TreeMap<>(tasks), it -> list(new TreeSet<>(it), String::valueOf));
    }

    private static String shown(Subtopology subtopology) {
        return "{\"id\":" + text(subtopology.subtopologyId())
            + ",\"sources\":" + list(subtopology.sourceTopics(), StreamsOracle::text)
            + ",\"sinks\":" + list(subtopology.repartitionSinkTopics(), StreamsOracle::text)
            + ",\"repartition\":" + list(subtopology.repartitionSourceTopics(),
                it -> "[" + text(it.name()) + "," + it.partitions() + "," + it.replicationFactor() + "]")
            + ",\"changelogs\":" + list(subtopology.stateChangelogTopics(), it -> text(it.name()))
            + ",\"groups\":" + list(subtopology.copartitionGroups(),
                it -> "[" + it.sourceTopics() + "," + it.repartitionSourceTopics() + "]") + "}";
    }

    private interface Show<T> {
        String of(T value);
    }

    private static <T> String list(Collection<T> values, Show<T> show) {
        return values.stream().map(show::of).collect(Collectors.joining(",", "[", "]"));
    }

    private static <T> String object(Map<String, T> values, Show<T> show) {
        return values.entrySet().stream().map(it -> text(it.getKey()) + ":" + show.of(it.getValue()))
            .collect(Collectors.joining(",", "{", "}"));
    }

    private static String text(String value) {
        return "\"" + value.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }
}

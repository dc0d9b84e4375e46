import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Prints what is in Upwrite's topics, a line for each record, from the beginning to what was the end. It knows nothing
 * of Upwrite: the registry has the schema of every value.
 *
 * <pre>
 * mvn package
 * java -cp 'target/consume-1.jar:target/libs/*' Consume \
 *     localhost:9092 http://localhost:8080/apis/registry/v2 upwrite.mutations upwrite.observations
 * </pre>
 *
 * With Confluent's own io.confluent.kafka.serializers.KafkaAvroDeserializer instead: schema.registry.url =
 * http://localhost:8080/apis/ccompat/v7, and none of the apicurio.* settings.
 */
public final class Consume {
    public static void main(String[] arguments) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", arguments[0]);
        config.put("enable.auto.commit", false);
        // Records of upwrite.records.* are written in transactions; the others are not, and are read all the same.
        config.put("isolation.level", "read_committed");
        // A place that is gone (retention) is an error to hear of, not to jump over.
        config.put("auto.offset.reset", "none");
        config.put("key.deserializer", StringDeserializer.class);
        config.put("value.deserializer", AvroKafkaDeserializer.class);
        config.put("apicurio.registry.url", arguments[1]);
        // Values are in Confluent's wire format: a zero byte, the schema's id in four bytes, the Avro body.
        config.put("apicurio.registry.as-confluent", true);
        config.put("apicurio.registry.use-id", "contentId");
        config.put("apicurio.registry.headers.enabled", false);

        try (KafkaConsumer<String, Object> consumer = new KafkaConsumer<>(config)) {
            List<TopicPartition> partitions = Stream.of(arguments).skip(2)
                .flatMap(topic -> consumer.partitionsFor(topic).stream())
                .map(info -> new TopicPartition(info.topic(), info.partition()))
                .toList();
            Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(partitions));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            ends.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
            while (!ends.isEmpty()) {
                consumer.poll(Duration.ofSeconds(1)).forEach(Consume::print);
                // By position, not by the last record: the end of a transaction takes a place, too.
                ends.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
            }
        }
    }

    private static void print(ConsumerRecord<String, Object> record) {
        Map<String, String> headers = new TreeMap<>();
        for (Header header : record.headers()) {
            headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8));
        }
        // A null value: a deleted row of upwrite.records.*
        System.out.printf("%s %d %d %s %s %s%n",
            record.topic(), record.partition(), record.offset(), record.key(), headers, record.value());
    }
}

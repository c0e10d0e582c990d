// Transactions of Apache Kafka's own producer, for transactions.rs. Run as a source file, with the broker's jars.
// Each line that it prints is one record in the order of the log: its outcome, a blank, its value.
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class TransactionalProducer {
    static String bootstrap;
    static String topic;
    static int sent = 0;

    static KafkaProducer<String, String> producer(String transactionalId) {
        Map<String, Object> plain = Map.of("bootstrap.servers", bootstrap, "compression.type", "lz4", "linger.ms", 0);
        if (transactionalId == null) {
            return new KafkaProducer<>(plain, new StringSerializer(), new StringSerializer());
        }
        Map<String, Object> properties = new java.util.HashMap<>(plain);
        properties.put("transactional.id", transactionalId);
        KafkaProducer<String, String> producer =
            new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    /** Sends count records and waits until they are in the log, so that the order of calls is that of the log. */
    static void send(KafkaProducer<String, String> producer, String outcome, int count) {
        for (int i = 0; i < count; i++) {
            String value = "record-" + sent++;
            producer.send(new ProducerRecord<>(topic, 0, null, value));
            System.out.println(outcome + " " + value);
        }
        producer.flush();
    }

    public static void main(String[] arguments) {
        bootstrap = arguments[0];
        topic = arguments[1];
        if (arguments.length > 2) {
            // Whoever comes with the same id ends what its predecessor left open.
            producer("left-open").close();
            return;
        }
        KafkaProducer<String, String> first = producer("first");
        KafkaProducer<String, String> second = producer("second");
        KafkaProducer<String, String> plain = producer(null);
        for (int round = 0; round < 20; round++) {
            boolean firstCommits = round % 3 == 0;
            boolean secondCommits = round % 4 != 0;
            first.beginTransaction();
            send(first, firstCommits ? "committed" : "aborted", 1 + round % 5);
            second.beginTransaction();
            send(second, secondCommits ? "committed" : "aborted", 3);
            send(plain, "plain", 2);
            send(first, firstCommits ? "committed" : "aborted", 4);
            if (secondCommits) second.commitTransaction(); else second.abortTransaction();
            send(plain, "plain", 1);
            if (firstCommits) first.commitTransaction(); else first.abortTransaction();
        }
        KafkaProducer<String, String> open = producer("left-open");
        open.beginTransaction();
        send(open, "open", 5);
        send(plain, "late", 5);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}

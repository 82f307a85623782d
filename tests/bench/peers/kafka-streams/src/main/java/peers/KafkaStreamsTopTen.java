package peers;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.TimestampedKeyValueStore;

/**
 * KafkaStreamsTopTen TOPIC PUBLISH_MS NAME=VALUE...: the events by page (they have no key, so through a repartition topic),
 * their sums in a store, each partition's top ten to a topic with one partition, and there the top ten of all. Values are
 * Kafka Streams' own settings.
 */
public final class KafkaStreamsTopTen {
  private static final String SUMS = "sums";
  // As many for either of two threads.
  private static final int PARTITIONS = 4;

  public static void main(String[] args) {
    Properties settings = new Properties();
    for (String setting : Arrays.asList(args).subList(2, args.length)) {
      settings.setProperty(setting.substring(0, setting.indexOf('=')), setting.substring(setting.indexOf('=') + 1));
    }
    KafkaStreams streams = new KafkaStreams(topology(args[0], Duration.ofMillis(Long.parseLong(args[1]))), settings);
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      // A shutdown would wait for this thread.
      Runtime.getRuntime().halt(1);
      return StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
    });
    streams.start();
  }

  private static Topology topology(String topic, Duration publish) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(topic, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
        .map((key, record) -> {
          Event event = Event.parse(record);
          return KeyValue.pair(event.page(), event.units());
        })
        .repartition(Repartitioned.with(Serdes.String(), Serdes.Long())
            .withName("by-page").withNumberOfPartitions(PARTITIONS))
        .groupByKey()
        .reduce(Long::sum, Materialized.as(SUMS))
        .toStream()
        .process(() -> new PartitionTop(publish), SUMS)
        .repartition(Repartitioned.with(Serdes.Integer(), Serdes.String()).withName("tops").withNumberOfPartitions(1))
        .process(GlobalTop::new);
    return builder.build();
  }

  /** Takes the sums that changed, once a commit thanks to the store's cache, and passes the partition's top ten on. */
  private static final class PartitionTop extends ContextualProcessor<String, Long, Integer, String> {
    private final Duration publish;
    private final Candidates candidates = new Candidates();
    private TimestampedKeyValueStore<String, Long> sums;
    private boolean changed = false;

    PartitionTop(Duration publish) {
      this.publish = publish;
    }

    @Override
    public void init(ProcessorContext<Integer, String> context) {
      super.init(context);
      sums = context.getStateStore(SUMS);
      scan();
      context.schedule(publish, PunctuationType.WALL_CLOCK_TIME, this::pass);
    }

    @Override
    public void process(Record<String, Long> sum) {
      candidates.update(sum.key(), sum.value());
      changed = true;
    }

    private void scan() {
      candidates.clear();
      try (var all = sums.all()) {
        all.forEachRemaining(sum -> candidates.update(sum.key, sum.value.value()));
      }
    }

    private void pass(long nowMs) {
      if (!changed) return;
      changed = false;
      if (candidates.tooFew()) scan();
      String top = candidates.topTen().stream()
          .map(entry -> entry.page() + "|" + entry.sum()).collect(Collectors.joining("\n"));
      context().forward(new Record<>(context().taskId().partition(), top, nowMs));
    }
  }

  private static final class GlobalTop extends ContextualProcessor<Integer, String, Void, Void> {
    private final Map<Integer, List<Entry>> tops = new HashMap<>();

    @Override
    public void process(Record<Integer, String> top) {
      tops.put(top.key(), top.value().lines().map(line -> line.split("\\|"))
          .map(fields -> new Entry(fields[0], Long.parseLong(fields[1]))).toList());
      List<Entry> all = new ArrayList<>();
      tops.values().forEach(all::addAll);
      System.out.println(Entry.publication(all));
    }
  }
}

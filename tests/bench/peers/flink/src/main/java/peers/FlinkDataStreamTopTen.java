package peers;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;

/**
 * FlinkDataStreamTopTen BROKERS TOPIC PUBLISH_MS NAME=VALUE...: a sum a page in keyed state, every subtask's top ten each
 * PUBLISH_MS to one task, and there the top ten of all.
 */
public final class FlinkDataStreamTopTen {
  public static void main(String[] args) throws Exception {
    StreamExecutionEnvironment environment = FlinkEnvironment.create(args, 3);
    KafkaSource<Tuple2<String, Long>> source = KafkaSource.<Tuple2<String, Long>>builder()
        .setBootstrapServers(args[0])
        .setTopics(args[1])
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setValueOnlyDeserializer(new EventSchema())
        .setProperty("max.poll.records", "5000")
        .build();
    environment.fromSource(source, WatermarkStrategy.noWatermarks(), "events", Types.TUPLE(Types.STRING, Types.LONG))
        .keyBy(event -> event.f0)
        .process(new Sums(Long.parseLong(args[2])))
        .returns(new TypeHint<Tuple2<Integer, List<Entry>>>() {})
        .process(new GlobalTop()).setParallelism(1)
        .print().setParallelism(1);
    environment.execute();
  }

  private static final class EventSchema extends AbstractDeserializationSchema<Tuple2<String, Long>> {
    EventSchema() {
      super(Types.TUPLE(Types.STRING, Types.LONG));
    }

    @Override
    public Tuple2<String, Long> deserialize(byte[] record) {
      Event event = Event.parse(record);
      return Tuple2.of(event.page(), event.units());
    }
  }

  private static final class Sums extends KeyedProcessFunction<String, Tuple2<String, Long>, Tuple2<Integer, List<Entry>>>
      implements CheckpointedFunction {
    private final long publishMs;
    private transient ValueState<Long> sum;
    private transient ListState<Candidates> saved;
    private transient Candidates candidates;
    private transient boolean timed;

    Sums(long publishMs) {
      this.publishMs = publishMs;
    }

    @Override
    public void open(OpenContext context) {
      sum = getRuntimeContext().getState(new ValueStateDescriptor<>("sum", Types.LONG));
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
      saved = context.getOperatorStateStore().getListState(new ListStateDescriptor<>("candidates", Candidates.class));
      candidates = new Candidates();
      // One element, of this subtask, as long as the parallelism stays what it was.
      for (Candidates before : saved.get()) candidates = before;
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
      saved.update(List.of(candidates));
    }

    @Override
    public void processElement(Tuple2<String, Long> event, Context context, Collector<Tuple2<Integer, List<Entry>>> out)
        throws Exception {
      Long before = sum.value();
      long after = before == null ? event.f1 : before + event.f1;
      sum.update(after);
      candidates.update(event.f0, after);
      if (timed) return;
      // One timer for all keys, under whichever came first.
      timed = true;
      long nowMs = context.timerService().currentProcessingTime();
      context.timerService().registerProcessingTimeTimer((nowMs / publishMs + 1) * publishMs);
    }

    @Override
    public void onTimer(long timeMs, OnTimerContext context, Collector<Tuple2<Integer, List<Entry>>> out) {
      timed = false;
      if (candidates.tooFew()) throw new IllegalStateException("hundreds of sums fell: keep more candidates");
      out.collect(Tuple2.of(getRuntimeContext().getTaskInfo().getIndexOfThisSubtask(), candidates.topTen()));
    }
  }

  private static final class GlobalTop extends ProcessFunction<Tuple2<Integer, List<Entry>>, String> {
    private final Map<Integer, List<Entry>> tops = new HashMap<>();

    @Override
    public void processElement(Tuple2<Integer, List<Entry>> top, Context context, Collector<String> out) {
      tops.put(top.f0, top.f1);
      List<Entry> all = new ArrayList<>();
      tops.values().forEach(all::addAll);
      out.collect(Entry.publication(all));
    }
  }
}

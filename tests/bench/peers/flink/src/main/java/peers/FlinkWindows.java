package peers;

import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/** FlinkWindows BROKERS TOPIC NAME=VALUE...: sums and counts of windows of all that is in the topic now, in SQL. */
public final class FlinkWindows {
  // A watermark of times that may be equal, but do not fall.
  private static final String EVENTS = """
      CREATE TABLE events (page STRING, clicks INT, minutes DECIMAL(10, 7), liked INT,
        made TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', WATERMARK FOR made AS made - INTERVAL '0.001' SECOND) WITH (
        'connector' = 'kafka', 'properties.bootstrap.servers' = '%s', 'topic' = '%s',
        'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',
        'format' = 'csv', 'csv.field-delimiter' = '|')
      """;
  private static final String PRINTED = """
      CREATE TABLE %s (begins TIMESTAMP(3), ends TIMESTAMP(3), page STRING, score DECIMAL(38, 9), events BIGINT) WITH (
        'connector' = 'print', 'print-identifier' = '%s')
      """;
  private static final String WINDOWS = """
      INSERT INTO %s
      SELECT window_start, window_end, page, SUM(0.8 * clicks + 0.8 * minutes + liked), COUNT(*)
      FROM TABLE(%s) GROUP BY window_start, window_end, page
      """;

  public static void main(String[] args) throws Exception {
    StreamTableEnvironment tables = StreamTableEnvironment.create(FlinkEnvironment.create(args, 2));
    tables.executeSql(EVENTS.formatted(args[0], args[1]));
    print(tables, "tumbling", "TUMBLE(TABLE events, DESCRIPTOR(made), INTERVAL '1' SECOND)");
    print(tables, "hopping", "HOP(TABLE events, DESCRIPTOR(made), INTERVAL '1' SECOND, INTERVAL '3' SECOND)");
  }

  private static void print(StreamTableEnvironment tables, String name, String windows) throws Exception {
    tables.executeSql(PRINTED.formatted(name, name));
    tables.executeSql(WINDOWS.formatted(name, windows)).await();
  }

  private FlinkWindows() {}
}

package peers;

import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/** FlinkSqlTopTen BROKERS TOPIC NAME=VALUE...: sums and top ten as a Flink user writes them in SQL. */
public final class FlinkSqlTopTen {
  private static final String EVENTS = """
      CREATE TABLE events (page STRING, clicks INT, minutes DECIMAL(10, 7), liked INT) WITH (
        'connector' = 'kafka', 'properties.bootstrap.servers' = '%s', 'topic' = '%s',
        'scan.startup.mode' = 'earliest-offset', 'properties.max.poll.records' = '5000',
        'format' = 'csv', 'csv.field-delimiter' = '|')
      """;
  private static final String PUBLISHED = """
      CREATE TABLE published (page STRING, score DECIMAL(38, 9)) WITH ('connector' = 'print')
      """;
  // The rank is not among the columns, so that a page that only changes place is not printed.
  private static final String TOP_TEN = """
      INSERT INTO published
      SELECT page, score FROM (
        SELECT page, score, ROW_NUMBER() OVER (ORDER BY score DESC, page) AS place FROM (
          SELECT page, SUM(0.8 * clicks + 0.8 * minutes + liked) AS score FROM events GROUP BY page))
      WHERE place <= 10
      """;

  public static void main(String[] args) throws Exception {
    StreamTableEnvironment tables = StreamTableEnvironment.create(FlinkEnvironment.create(args, 2));
    tables.executeSql(EVENTS.formatted(args[0], args[1]));
    tables.executeSql(PUBLISHED);
    tables.executeSql(TOP_TEN).await();
  }
}

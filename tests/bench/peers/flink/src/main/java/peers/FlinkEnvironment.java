package peers;

import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** A local Flink with the settings NAME=VALUE of a program's arguments from one of them on. */
final class FlinkEnvironment {
  static StreamExecutionEnvironment create(String[] args, int begin) {
    Map<String, String> settings = Arrays.stream(args, begin, args.length)
        .collect(Collectors.toMap(arg -> arg.substring(0, arg.indexOf('=')), arg -> arg.substring(arg.indexOf('=') + 1)));
    return StreamExecutionEnvironment.createLocalEnvironment(Configuration.fromMap(settings));
  }

  private FlinkEnvironment() {}
}

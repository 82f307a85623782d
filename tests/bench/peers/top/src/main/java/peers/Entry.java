package peers;

import java.math.BigDecimal;
import java.util.List;
import java.util.stream.Collectors;

/** A page and its sum in units of 1e-9, ordered as a top ten is: by sum, highest first, then by page. */
public record Entry(String page, long sum) implements Comparable<Entry> {
  public static final int TOP = 10;

  @Override
  public int compareTo(Entry other) {
    return sum != other.sum ? Long.compare(other.sum, sum) : page.compareTo(other.page);
  }

  /** The line that a program publishes, `[["page1", "2.2"], ...]`, of the highest of some entries. */
  public static String publication(List<Entry> entries) {
    return entries.stream().sorted().limit(TOP)
        .map(entry -> "[\"" + entry.page + "\", \"" + BigDecimal.valueOf(entry.sum, 9).toPlainString() + "\"]")
        .collect(Collectors.joining(", ", "[", "]"));
  }
}

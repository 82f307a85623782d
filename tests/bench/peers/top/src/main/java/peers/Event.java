package peers;

import java.nio.charset.StandardCharsets;

/** One record, `page37|5|1.5119122|-1`: its page, and what it adds to it, exactly, in units of 1e-9. */
public record Event(String page, long units) {
  private static final int FRACTION_DIGITS = 8;

  public static Event parse(byte[] record) {
    int first = find(record, 0), second = find(record, first + 1), third = find(record, second + 1);
    long clicks = parseE8(record, first + 1, second), minutes = parseE8(record, second + 1, third);
    long like = parseE8(record, third + 1, record.length);
    // 0.8 * 1e-8 is 8 units.
    return new Event(new String(record, 0, first, StandardCharsets.UTF_8), 8 * clicks + 8 * minutes + 10 * like);
  }

  private static int find(byte[] record, int begin) {
    for (int i = begin; i < record.length; i++) {
      if (record[i] == '|') return i;
    }
    throw new NumberFormatException("a field is missing: " + new String(record, StandardCharsets.UTF_8));
  }

  /** A decimal number with at most eight digits behind its point, in units of 1e-8. */
  private static long parseE8(byte[] record, int begin, int end) {
    boolean negative = begin < end && record[begin] == '-';
    long value = 0;
    int fraction = -1;
    for (int i = negative ? begin + 1 : begin; i < end; i++) {
      if (record[i] == '.' && fraction < 0) {
        fraction = 0;
        continue;
      }
      if (record[i] < '0' || record[i] > '9') throw new NumberFormatException(new String(record, StandardCharsets.UTF_8));
      value = Math.addExact(Math.multiplyExact(value, 10), record[i] - '0');
      if (fraction >= 0) fraction++;
    }
    if (fraction > FRACTION_DIGITS) throw new NumberFormatException(new String(record, StandardCharsets.UTF_8));
    for (int digits = Math.max(fraction, 0); digits < FRACTION_DIGITS; digits++) value = Math.multiplyExact(value, 10);
    return negative ? -value : value;
  }
}

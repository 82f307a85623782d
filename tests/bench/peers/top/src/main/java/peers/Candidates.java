package peers;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The highest of a partition's sums, in memory, so that a top ten costs no scan of the state. Sums may fall, so it keeps
 * more than ten, and a floor: every page that is not here ranks at or behind it. One thread's.
 */
public final class Candidates implements Serializable {
  private static final int MOST = 1000;
  private static final int KEPT = 500;

  private final Map<String, Long> sums = new HashMap<>();
  // Of no page while all are here.
  private String floorPage;
  private long floorSum = Long.MIN_VALUE;

  /** Takes the new sum of a page. */
  public void update(String page, long sum) {
    if (sum < floorSum || (sum == floorSum && floorPage != null && page.compareTo(floorPage) >= 0)) {
      sums.remove(page);
      return;
    }
    sums.put(page, sum);
    if (sums.size() > MOST) shrink();
  }

  /** Whether it cannot tell the top ten any more: it has to be cleared and given all sums again. */
  public boolean tooFew() {
    return floorPage != null && sums.size() < Entry.TOP;
  }

  public void clear() {
    sums.clear();
    floorPage = null;
    floorSum = Long.MIN_VALUE;
  }

  public List<Entry> topTen() {
    return new ArrayList<>(ranked().subList(0, Math.min(Entry.TOP, sums.size())));
  }

  private List<Entry> ranked() {
    return sums.entrySet().stream().map(sum -> new Entry(sum.getKey(), sum.getValue())).sorted().toList();
  }

  private void shrink() {
    List<Entry> ranked = ranked();
    floorPage = ranked.get(KEPT).page();
    floorSum = ranked.get(KEPT).sum();
    ranked.subList(KEPT, ranked.size()).forEach(entry -> sums.remove(entry.page()));
  }
}

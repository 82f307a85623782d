//! One record, `page37|5|1.5119122|-1`: its page, and what it adds to the page's score, exactly, in units of 1e-9.

const FRACTION_DIGITS: usize = 8;
/// So few that no sum of three fields overflows.
const INTEGER_DIGITS: usize = 9;
const POWERS: [i64; FRACTION_DIGITS + 1] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// None if it is no event.
#[inline]
pub fn parse(record: &[u8]) -> Option<(&str, i64)> {
    let page_end = record.iter().position(|&byte| byte == b'|')?;
    let (clicks, rest) = parse_e8(&record[page_end + 1..])?;
    let (minutes, rest) = parse_e8(rest.strip_prefix(b"|")?)?;
    let (like, rest) = parse_e8(rest.strip_prefix(b"|")?)?;
    // 0.8 * 1e-8 is 8 units.
    let units = 8 * clicks + 8 * minutes + 10 * like;
    if rest.is_empty() { Some((std::str::from_utf8(&record[..page_end]).ok()?, units)) } else { None }
}

/// The decimal number at the beginning, in units of 1e-8, and what is behind it.
#[inline]
fn parse_e8(text: &[u8]) -> Option<(i64, &[u8])> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (integer, digits, rest) = parse_digits(text);
    if digits == 0 || digits > INTEGER_DIGITS {
        return None;
    }
    let (fraction, digits, rest) = match rest {
        [b'.', rest @ ..] => parse_digits(rest),
        _ => (0, 0, rest),
    };
    if digits > FRACTION_DIGITS {
        return None;
    }
    let value = integer * POWERS[FRACTION_DIGITS] + fraction * POWERS[FRACTION_DIGITS - digits];
    Some((if negative { -value } else { value }, rest))
}

/// The digits at the beginning, as a number, how many they are, and what is behind them. A number of too many digits is not
/// right, and is not used.
#[inline]
fn parse_digits(text: &[u8]) -> (i64, usize, &[u8]) {
    let mut value = 0i64;
    let mut count = 0;
    while let Some(digit) = text.get(count).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        value = value.wrapping_mul(10).wrapping_add(digit.into());
        count += 1;
    }
    (value, count, &text[count..])
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_event_is_exact() {
        assert_eq!(parse(b"page37|5|1.5119122|-1"), Some(("page37", 4_000_000_000 + 1_209_529_760 - 1_000_000_000)));
        assert_eq!(parse(b"p|100000000|0|0"), Some(("p", 80_000_000_000_000_000)));
        assert_eq!(parse(b"p|0|0.00000001|0"), Some(("p", 8)));
        assert_eq!(parse(b"p|-1|-1.5|1"), Some(("p", -800_000_000 - 1_200_000_000 + 1_000_000_000)));
    }

    #[test]
    fn anything_else_is_none() {
        for record in ["", "p", "p|1|2", "p|1|2|", "p|1|2|3|", "p|1|2|3 ", "p|x|2|3", "p||2|3", "p|1|2.000000001|3"] {
            assert_eq!(parse(record.as_bytes()), None, "{record}");
        }
        assert_eq!(parse(b"p|1234567890|2|3"), None);
        assert_eq!(parse(b"\xff|1|2|3"), None);
    }
}

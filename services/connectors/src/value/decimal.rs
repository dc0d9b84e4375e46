//! Decimal numbers as text, exactly.

/// Beyond this many digits either side a number is not taken: an exponent must not become gigabytes of zeros.
const MAX_DIGITS: usize = 1_500;

/// Writes a decimal number (with or without exponent) as Postgres's `numeric` does: plain, no superfluous leading
/// zeros, with exactly `scale` decimals (rounded half away from zero) or, without one, with those that were written.
/// `None`: not a number that `numeric` and JSON share.
pub fn plain(text: &str, scale: Option<usize>) -> Option<String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    // Digits after the point once the exponent is taken in; negative: zeros to append.
    let decimals = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
    let limit = i64::try_from(MAX_DIGITS).ok()?;
    if decimals.abs() > limit || digits.len() > MAX_DIGITS {
        return None;
    }
    let mut decimals = match usize::try_from(decimals) {
        Ok(decimals) => decimals,
        Err(_) => {
            digits.resize(digits.len() + usize::try_from(-decimals).ok()?, b'0');
            0
        }
    };
    if digits.len() <= decimals {
        let missing = decimals + 1 - digits.len();
        digits.splice(0..0, std::iter::repeat_n(b'0', missing));
    }
    if let Some(scale) = scale {
        rescale(&mut digits, decimals, scale);
        decimals = scale;
    }
    Some(write(negative, &digits, decimals))
}

fn rescale(digits: &mut Vec<u8>, decimals: usize, scale: usize) {
    if decimals <= scale {
        digits.resize(digits.len() + (scale - decimals), b'0');
        return;
    }
    let kept = digits.len() - (decimals - scale);
    let round_up = digits[kept] >= b'5';
    digits.truncate(kept);
    if !round_up {
        return;
    }
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

fn write(negative: bool, digits: &[u8], decimals: usize) -> String {
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let text = |digits: &[u8]| digits.iter().map(|digit| char::from(*digit)).collect::<String>();
    let whole = text(whole);
    let whole = whole.trim_start_matches('0');
    let sign = if negative && digits.iter().any(|digit| *digit != b'0') { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", text(fraction)) }
}

/// The scale of `numeric(p,s)`; `None` for a numeric without limits.
pub fn scale_of(sql_type: &str) -> Option<usize> {
    let inside = sql_type.strip_prefix("numeric(")?.strip_suffix(')')?;
    inside.split_once(',')?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn writes_as_numeric_does() {
        for (text, scale, expected) in [
            ("12.5", Some(2), "12.50"),
            ("12.5", None, "12.5"),
            ("1.25E7", Some(2), "12500000.00"),
            ("1.50e1", None, "15.0"),
            ("1e-3", None, "0.001"),
            ("-0.005", Some(2), "-0.01"),
            ("-0.004", Some(2), "0.00"),
            ("0.995", Some(2), "1.00"),
            ("99.999", Some(2), "100.00"),
            ("007", Some(0), "7"),
            ("5.0", Some(0), "5"),
            ("0", Some(2), "0.00"),
            (".5", None, "0.5"),
            ("123456789012345678.99", Some(2), "123456789012345678.99"),
            ("0.1000000000000000055511151231257827", None, "0.1000000000000000055511151231257827"),
        ] {
            assert_eq!(plain(text, scale).as_deref(), Some(expected), "{text} {scale:?}");
        }
    }

    #[test]
    fn refuses_what_json_cannot_say() {
        for text in ["", "-", ".", "NaN", "Infinity", "1e", "1e999999999", "0x10", "1 ", "1,5", "--1"] {
            assert_eq!(plain(text, None), None, "{text}");
        }
    }
}

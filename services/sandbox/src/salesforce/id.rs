//! Record ids: 3 characters of key prefix, 3 of instance, 9 of counter, 3 of checksum over the letters' case.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECK: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// Builds the 18-character id of the `number`-th record of an object.
pub(crate) fn make(key_prefix: &str, instance: &str, number: u64) -> String {
    let mut tail = [b'0'; 9];
    let mut rest = number;
    for slot in tail.iter_mut().rev() {
        *slot = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    let short = format!("{key_prefix}{instance}{}", String::from_utf8_lossy(&tail));
    with_checksum(&short)
}

/// Two characters that tell the ids of differently seeded sandboxes apart, and the vendor's reserved `0`.
pub(crate) fn instance_of(seed: u64) -> String {
    let a = DIGITS[10 + (seed % 52) as usize] as char;
    let b = DIGITS[((seed / 52) % 62) as usize] as char;
    format!("{a}{b}0")
}

/// The canonical 18-character form of an id given in 15 or 18 characters, if it is one.
pub(crate) fn canonical(text: &str) -> Option<String> {
    if !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    match text.len() {
        15 => Some(with_checksum(text)),
        18 => {
            let whole = with_checksum(&text[..15]);
            whole.eq_ignore_ascii_case(text).then_some(whole)
        }
        _ => None,
    }
}

fn with_checksum(short: &str) -> String {
    let mut whole = String::with_capacity(18);
    whole.push_str(short);
    for chunk in short.as_bytes().chunks(5) {
        let bits = chunk
            .iter()
            .enumerate()
            .filter(|(_, b)| b.is_ascii_uppercase())
            .fold(0usize, |bits, (place, _)| bits | 1 << place);
        whole.push(CHECK[bits] as char);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_vendors() {
        // A well-known pair of a 15- and an 18-character form.
        assert_eq!(canonical("001A0000006Vm9r").as_deref(), Some("001A0000006Vm9rIAC"));
        assert_eq!(canonical("001A0000006Vm9rIAC").as_deref(), Some("001A0000006Vm9rIAC"));
        assert_eq!(canonical("001A0000006Vm9rIAD"), None);
        assert_eq!(canonical("pending:1"), None);
    }

    #[test]
    fn ids_ascend_with_their_number() {
        let ids: Vec<String> = (1..200).map(|n| make("003", "5g0", n)).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| canonical(id).as_deref() == Some(id)));
    }
}

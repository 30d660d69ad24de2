//! Numbers that stand as text. They are read by serde_json, whose reader is there anyway: the library's own, of `f64`, is
//! 17 kB of code and tables.

use serde_json::Number;

/// The number that `text` is: JSON's, also with a plus, zeros before it, or none before its point. None is infinite.
pub fn read(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let zeros = digits.bytes().take_while(|byte| *byte == b'0').count();
    let bare = &digits[zeros..];
    let number: Number = match bare.bytes().next() {
        Some(b'1'..=b'9') => bare.parse(),
        _ if zeros > 0 => digits[zeros - 1..].parse(),
        Some(b'.') => format!("0{bare}").parse(),
        _ => return None,
    }
    .ok()?;
    let value = number.as_f64()?;
    Some(if text.starts_with('-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_the_library_reads_but_no_names_and_no_open_ends() {
        for text in [
            "0",
            "-0",
            "7",
            "007",
            "-007.50",
            "+5",
            "21.5",
            "0.0",
            "-0.25",
            ".5",
            "-.5",
            "00.125",
            "1e3",
            "1E-3",
            "4294967296",
            "1700000000.25",
            "18446744073709551615",
            "123456789012345678901234567890",
        ] {
            let value = read(text).unwrap_or_else(|| panic!("{text} is a number"));
            assert_eq!(value.to_bits(), text.parse::<f64>().expect(text).to_bits(), "{text}: {value}");
        }
        for text in [
            "", "-", "+", ".", "-.", "5.", "1e", "1e999", "nan", "inf", "-inf", "+-5", "--5", "0x10", "1 2", " 1",
            "1,5", "1.2.3",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}

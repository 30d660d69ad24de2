//! Numbers that stand as text. They are read and written by serde_json, which does so anyway: the library's own reader of
//! `f64` is 17 kB of code and tables, and its writer another 10.

use std::fmt;

use serde_json::Number;

/// A number in a sentence: the shortest digits that name it.
pub struct Decimal(pub f64);

/// A number with one decimal, or none where that is zero.
pub fn tenths(value: f64) -> Decimal {
    Decimal((value * 10.0).round() / 10.0)
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Number::from_f64(self.0).map(|number| number.to_string());
        let text = text.as_deref().unwrap_or("infinite");
        formatter.write_str(text.strip_suffix(".0").unwrap_or(text))
    }
}

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
    fn a_number_is_written_with_the_digits_that_it_needs() {
        let written = [0.0, -5.0, 0.1, 21.37, 1e15, 2.5e-9, f64::NAN].map(|value| Decimal(value).to_string());
        assert_eq!(written, ["0", "-5", "0.1", "21.37", "1000000000000000", "2.5e-9", "infinite"]);
        assert_eq!([0.04, 9.96, -1.25].map(|value| tenths(value).to_string()), ["0", "10", "-1.3"]);
    }

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

//! How many there are of something, in words.

/// `1 record`, `2 records`: `noun` is of one, and takes an `s`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// What so many of them are.
pub fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// What so many of them were.
pub fn were(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_none_are_many() {
        let said =
            [0, 1, 2].map(|count| format!("{} {} {}", counted(count, "record"), are(count), were(count)));
        assert_eq!(said, ["0 records are were", "1 record is was", "2 records are were"]);
    }
}

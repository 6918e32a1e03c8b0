//! Who did something by hand, and why: words that stand in a journal for good.

/// The most bytes of a name or a reason.
pub const MOST: usize = 512;

/// Checks a name or a reason. `name` is what it is called where it was given.
///
/// # Errors
/// What is wrong with it, if it is blank or over [`MOST`].
pub fn check(name: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.len() > MOST {
        let found = if text.trim().is_empty() { "blank".to_owned() } else { format!("{} bytes", text.len()) };
        return Err(format!(
            "`{name}` must be 1 to {MOST} bytes, and it is {found}: it stands in the journal for good"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_neither_blank_nor_longer_than_the_bound() {
        assert!(check("who", "ada").is_ok() && check("why", &"x".repeat(MOST)).is_ok());
        for wrong in ["", " ", "\t\n", &"x".repeat(MOST + 1)] {
            assert!(check("why", wrong).unwrap_err().contains("`why` must be 1 to 512 bytes"), "{wrong}");
        }
    }
}

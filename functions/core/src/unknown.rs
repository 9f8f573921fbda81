//! Unknown words in errors: never a secret's text, and with the known word that the user may have meant.

use strsim::levenshtein;

/// Gives the known name that the user probably meant.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '.', ' '], "_");
    let name = plain(name);
    let (distance, best) = known
        .iter()
        .map(|known| (levenshtein(&name, &plain(known)), *known))
        .min_by_key(|(distance, _)| *distance)?;
    // A name that differs in more than a third would puzzle more than help.
    (distance * 3 <= name.chars().count().max(3)).then_some(best)
}

/// Gives the words of a cure: the probable name, or all names.
pub(crate) fn suggest(name: &str, known: &[&str]) -> String {
    nearest(name, known)
        .map_or_else(|| format!("one of {}", list(known)), |best| format!("did you mean `{best}`?"))
}

/// Writes names in a row: `` `a`, `b` ``.
pub(crate) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Writes an unknown word for an error.
///
/// Entra's client secrets have forty characters and a `~`. A word that can be a secret, or a part of one, is left out.
pub(crate) fn stranger(word: &str) -> String {
    const LONGEST: usize = 32;
    let plain = word.chars().all(|c| c.is_alphanumeric() || "_-./ ".contains(c));
    if plain && word.chars().count() <= LONGEST { format!("`{word}`") } else { "`…`".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = ["rotate_before", "lifetime", "overlap"];
        assert_eq!(nearest("rotate-before", &known), Some("rotate_before"));
        assert_eq!(nearest("overlapp", &known), Some("overlap"));
        assert_eq!(nearest("colour", &known), None);
    }
}

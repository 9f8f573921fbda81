//! What is wrong with a manifest: each problem with its place and its cure.

use std::collections::BTreeSet;
use std::fmt;

/// A place in the text, counted from one, as editors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl Position {
    /// The beginning of the text: of what is wrong with all of it.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong, and what to do about it.
///
/// The texts quote names (fields, formats, secrets' names), and never a free text of the file: whoever
/// pastes a client secret into the wrong field does not find it in a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is.
    pub position: Position,
    /// The fields that lead there, such as `credentials.aks.overlap`; empty for the file as such.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub cure: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}; {}", self.what, self.cure)
    }
}

/// A manifest that is not valid, with all that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    file: String,
    problems: Vec<Problem>,
}

impl ManifestError {
    /// Where the manifest came from.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What is wrong, in the order of the file; at least one problem.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// So many problems are written out: enough to see a pattern, and an error stays readable.
const SHOWN: usize = 50;

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{}: {problem}", self.file, problem.position)?;
        }
        match self.problems.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more problems", self.file),
        }
    }
}

/// Collects problems while a manifest is read, and knows the path to what is being read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    path: Vec<String>,
    found: Vec<Problem>,
}

impl Problems {
    /// Notes a problem with what is being read.
    pub(super) fn add(
        &mut self,
        position: Position,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        let path = self.path.join(".");
        self.found.push(Problem { position, path, what: what.into(), cure: cure.into() });
    }

    /// Reads something these steps further down the path.
    pub(super) fn within<T, const N: usize>(
        &mut self,
        steps: [&str; N],
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let above = self.path.len();
        self.path.extend(steps.map(shown));
        let result = read(self);
        self.path.truncate(above);
        result
    }

    /// The value if nothing was wrong, or all that was, each thing once.
    pub(super) fn settle<T>(mut self, file: &str, value: Option<T>) -> Result<T, ManifestError> {
        // A wrong default is met again by every credential that takes it.
        let mut seen = BTreeSet::new();
        self.found.retain(|problem| seen.insert((problem.position, problem.what.clone())));
        self.found.sort_by_key(|problem| problem.position);
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => Err(ManifestError { file: file.to_owned(), problems: self.found }),
        }
    }
}

/// A name that may have been checked, as it stands in an error.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", shown(name))
}

/// A name as every problem below it repeats it: none is longer than a valid one, or has characters of a
/// client secret that no name may have.
fn shown(name: &str) -> String {
    const LONGEST: usize = 512;
    let plain = name.chars().all(|c| c.is_alphanumeric() || "/_+=.@-:,{} ".contains(c));
    if plain && name.len() <= LONGEST { name.to_owned() } else { "…".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_problems_is_cut_short() {
        let mut problems = Problems::default();
        for line in 1..=60 {
            problems.add(Position { line, column: 1 }, "wrong", "mend it");
        }
        let error = problems.settle::<()>("m.yaml", None).expect_err("problems");
        assert_eq!(error.problems().len(), 60);
        assert!(error.to_string().ends_with("m.yaml: and 10 more problems"), "{error}");
    }
}

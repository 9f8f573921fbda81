//! The problems of a manifest: each with its position and its cure.

use std::collections::BTreeSet;
use std::fmt;

/// A position in the text, counted from 1 as editors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl Position {
    /// The beginning of the text, for problems of the whole text.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A problem and its cure.
///
/// The texts quote names (fields, formats, secrets' names), and never a free text of the file. So a client secret that
/// somebody pasted into the wrong field does not reach a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The position.
    pub position: Position,
    /// The fields that lead to the position, such as `credentials.aks.overlap`; empty: the whole file.
    pub path: String,
    /// The problem.
    pub what: String,
    /// The cure.
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

/// A manifest is not valid. The error holds all problems.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    file: String,
    problems: Vec<Problem>,
}

impl ManifestError {
    /// Gives the place of the manifest.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Gives the problems in the order of the file; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// The most problems that an error writes out, so that the error stays readable.
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

/// The problems that were found so far, and the path to the fields that are being read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    path: Vec<String>,
    found: Vec<Problem>,
}

impl Problems {
    /// Notes a problem at the present path.
    pub(super) fn add(
        &mut self,
        position: Position,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        let path = self.path.join(".");
        self.found.push(Problem { position, path, what: what.into(), cure: cure.into() });
    }

    /// Reads fields that are these steps further down the path.
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

    /// Gives the value if there was no problem, or all problems, each once.
    pub(super) fn settle<T>(mut self, file: &str, value: Option<T>) -> Result<T, ManifestError> {
        // Every credential that takes a wrong default has the default's problem again.
        let mut seen = BTreeSet::new();
        self.found.retain(|problem| seen.insert((problem.position, problem.what.clone())));
        self.found.sort_by_key(|problem| problem.position);
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => Err(ManifestError { file: file.to_owned(), problems: self.found }),
        }
    }
}

/// Quotes a name in a problem.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", shown(name))
}

/// Gives a name as a problem may show it. A text that is longer than any valid name, or has characters of a client
/// secret that no name has, is left out.
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

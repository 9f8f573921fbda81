//! The table and the list of survivors, as text and JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::Failure;
use crate::mutant::{Fate, Mutant, module};

/// How many of a module's mutants came to which end.
#[derive(Clone, Debug, Default, Serialize)]
struct Row {
    made: usize,
    unviable: usize,
    not_schematised: usize,
    viable: usize,
    not_run: usize,
    caught: usize,
    timed_out: usize,
    argued: usize,
    unreached: usize,
    survived: usize,
}

impl Row {
    fn count(&mut self, fate: Option<&Fate>, is_argued: bool) {
        self.made += 1;
        let field = match fate {
            None => &mut self.not_run,
            Some(Fate::NotSchematised(_)) => &mut self.not_schematised,
            Some(Fate::Unviable) => &mut self.unviable,
            Some(Fate::Caught(_)) => &mut self.caught,
            Some(Fate::TimedOut(_)) => &mut self.timed_out,
            Some(Fate::Unreached | Fate::Survived) if is_argued => &mut self.argued,
            Some(Fate::Unreached) => &mut self.unreached,
            Some(Fate::Survived) => &mut self.survived,
        };
        *field += 1;
        self.viable = self.made - self.not_schematised - self.unviable;
    }

    fn cells(&self) -> [(&'static str, usize); 10] {
        [
            ("made", self.made),
            ("unviable", self.unviable),
            ("not-schem.", self.not_schematised),
            ("viable", self.viable),
            ("not run", self.not_run),
            ("caught", self.caught),
            ("timed out", self.timed_out),
            ("argued", self.argued),
            ("unreached", self.unreached),
            ("survived", self.survived),
        ]
    }
}

/// Everything that a run found.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) mutants: &'a [Mutant],
    pub(crate) fates: &'a BTreeMap<u32, Fate>,
    pub(crate) argued: &'a BTreeMap<String, String>,
    pub(crate) stale: &'a [String],
    pub(crate) seconds: u64,
    /// Whether every chosen mutant was run.
    pub(crate) complete: bool,
}

impl Report<'_> {
    /// The survivors that nobody argued for.
    pub(crate) fn unargued(&self) -> usize {
        let survivors = self.mutants.iter().filter(|mutant| {
            self.fates.get(&mutant.id).is_some_and(Fate::is_survivor)
                && !self.argued.contains_key(&mutant.name)
        });
        survivors.count()
    }

    /// Counts by module, the last row for all of them.
    fn rows(&self) -> (BTreeMap<String, Row>, Row) {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        let mut all = Row::default();
        for mutant in self.mutants {
            let fate = self.fates.get(&mutant.id);
            let is_argued = self.argued.contains_key(&mutant.name);
            rows.entry(module(&mutant.file)).or_default().count(fate, is_argued);
            all.count(fate, is_argued);
        }
        (rows, all)
    }

    fn table(&self) -> String {
        let (rows, all) = self.rows();
        let mut text = format!("{:<12}", "");
        for (heading, _) in all.cells() {
            let _ = write!(text, "{heading:>11}");
        }
        for (name, row) in rows.iter().chain([(&"all".to_owned(), &all)]) {
            let _ = write!(text, "\n{name:<12}");
            for (_, cell) in row.cells() {
                let _ = write!(text, "{cell:>11}");
            }
        }
        let _ = writeln!(text, "\n{} s", self.seconds);
        text
    }

    fn survivors(&self) -> String {
        let mut text = String::new();
        let mut file = "";
        for mutant in self.mutants {
            let unreached = match self.fates.get(&mutant.id) {
                Some(Fate::Survived) => "",
                Some(Fate::Unreached) => " (no test reaches it)",
                _ => continue,
            };
            if self.argued.contains_key(&mutant.name) {
                continue;
            }
            if file != mutant.file {
                file = &mutant.file;
                let _ = writeln!(text, "\n{file}");
            }
            let what =
                mutant.name.strip_prefix(file).unwrap_or(&mutant.name).trim_start_matches(": ");
            let _ =
                writeln!(text, "  {}:{} {what}{unreached}", mutant.start.line, mutant.start.column);
        }
        text
    }

    /// Writes `report.txt` and `report.json` into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Failure> {
        fs::create_dir_all(folder)?;
        let stale: Vec<String> = self.stale.iter().map(|line| format!("stale: {line}")).collect();
        let stale = stale.join("\n");
        let mut left_out = String::new();
        for mutant in self.mutants {
            if let Some(Fate::NotSchematised(why)) = self.fates.get(&mutant.id) {
                let _ = writeln!(
                    left_out,
                    "  {}:{} {}: {why}",
                    mutant.file, mutant.start.line, mutant.name
                );
            }
        }
        let text = format!(
            "{}\n{stale}\nSurvivors\n{}\nNot schematised\n{left_out}",
            self.table(),
            self.survivors()
        );
        fs::write(folder.join("report.txt"), text)?;
        let mutants: Vec<_> = self
            .mutants
            .iter()
            .map(|mutant| {
                json!({
                    "name": mutant.name,
                    "file": mutant.file,
                    "line": mutant.start.line,
                    "function": mutant.function,
                    "returns": mutant.returns,
                    "genre": mutant.genre,
                    "replacement": mutant.replacement,
                    "end": self.fates.get(&mutant.id),
                    "argued": self.argued.get(&mutant.name),
                })
            })
            .collect();
        let (modules, all) = self.rows();
        let json = json!({
            "seconds": self.seconds,
            "complete": self.complete,
            "all": all,
            "modules": modules,
            "stale": self.stale,
            "mutants": mutants,
        });
        fs::write(folder.join("report.json"), serde_json::to_string_pretty(&json)?)?;
        Ok(())
    }
}

//! Results on standard output, everything else on standard error.

use std::io::{self, ErrorKind, IsTerminal, Stderr, Stdout, Write};
use std::time::Duration;

use comfy_table::{
    Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, TableStyle,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keywheel_core::settings;
use serde::Serialize;

use crate::args::Global;
use crate::exit::Failure;
use crate::report::Report;
use crate::text::plain;

/// The standard streams.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// Whether results are JSON.
    pub(crate) json: bool,
    quiet: bool,
    out: Stdout,
    err: Stderr,
    colours: Colours,
}

/// The streams that take colours.
#[derive(Clone, Copy, Debug)]
struct Colours {
    out: bool,
    err: bool,
}

/// What a cell of a table means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing in particular.
    Plain,
    /// Something is under way or due.
    Due,
    /// Somebody has to do something.
    Bad,
}

impl Terminal {
    /// Looks at the streams and at `NO_COLOR`.
    pub(crate) fn new(global: &Global) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let wanted = settings::optional("NO_COLOR").is_none();
        Self {
            json: global.json,
            quiet: global.quiet,
            colours: Colours { out: wanted && out.is_terminal(), err: wanted && err.is_terminal() },
            out,
            err,
        }
    }

    /// Writes a result: as JSON with `--json`, else in words.
    pub(crate) fn show(&self, report: &impl Report) -> Result<(), Failure> {
        if self.json { self.print_json(report) } else { report.print(self) }
    }

    /// Writes a text. A reader that went away (`| head`) has read enough: that is no failure.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = self.out.lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// Writes one JSON document.
    pub(crate) fn print_json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        self.print(&serde_json::to_string_pretty(value)?)
    }

    /// Writes a table. A terminal's width wraps texts, but not the ids in the column of this number; without a terminal
    /// nothing is wrapped.
    pub(crate) fn print_table(
        &self,
        header: &[&str],
        ids: usize,
        rows: Vec<Vec<(String, Tone)>>,
    ) -> Result<(), Failure> {
        let mut table = Table::new();
        table
            .load_style(TableStyle::new())
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(header.iter().map(|name| self.heading(name)));
        for row in rows {
            table.add_row(row.into_iter().map(|(text, tone)| self.cell(&text, tone)));
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        if let Some(column) = table.column_mut(ids) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        self.print(&table.trim_fmt())
    }

    /// Colours a text by what it means, where standard output takes colours.
    pub(crate) fn toned(&self, text: &str, tone: Tone) -> String {
        let colour = match tone {
            Tone::Due if self.colours.out => "33",
            Tone::Bad if self.colours.out => "31",
            _ => return text.to_owned(),
        };
        format!("\u{1b}[{colour}m{text}\u{1b}[0m")
    }

    fn heading(&self, name: &str) -> Cell {
        let cell = Cell::new(name);
        if self.colours.out { cell.add_attribute(Attribute::Bold) } else { cell }
    }

    fn cell(&self, text: &str, tone: Tone) -> Cell {
        let lines: Vec<String> = text.lines().map(plain).collect();
        let cell = Cell::new(lines.join("\n"));
        match tone {
            _ if text.is_empty() => cell,
            Tone::Due if self.colours.out => cell.fg(Color::Yellow),
            Tone::Bad if self.colours.out => cell.fg(Color::Red),
            _ => cell,
        }
    }

    /// Writes a remark to standard error, unless `--quiet` is given.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            // Nobody is left to tell that standard error is closed.
            let _ = writeln!(self.err.lock(), "{text}");
        }
    }

    /// Writes a failure to standard error, also with `--quiet`.
    pub(crate) fn fail(&self, failure: &Failure) {
        let (red, off) = if self.colours.err { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
        let what: Vec<String> = failure.what.lines().map(plain).collect();
        let mut text = format!("{red}error:{off} {}", what.join("\n"));
        if let Some(cure) = &failure.cure {
            text = format!("{text}\n  cure: {}", plain(cure));
        }
        let _ = writeln!(self.err.lock(), "{text}");
    }

    /// Asks a question on standard error. `None` means that nobody is there to answer.
    pub(crate) fn confirm(&self, question: &str) -> Result<Option<bool>, Failure> {
        if !io::stdin().is_terminal() || !self.err.is_terminal() {
            return Ok(None);
        }
        let mut err = self.err.lock();
        write!(err, "{question} [y/N] ")?;
        err.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        let answer = answer.trim().to_ascii_lowercase();
        Ok(Some(matches!(answer.as_str(), "y" | "yes")))
    }

    /// Shows progress on standard error until the work is done.
    pub(crate) async fn progress<T>(
        &self,
        doing: &str,
        work: impl AsyncFnOnce(&ProgressBar) -> T,
    ) -> T {
        let bar = self.spinner(doing);
        let done = work(&bar).await;
        bar.finish_and_clear();
        done
    }

    /// Starts a spinner on standard error. Nothing is shown without a terminal, or with `--quiet`.
    pub(crate) fn spinner(&self, doing: &str) -> ProgressBar {
        let target =
            if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(doing.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }
}

//! `keywheel validate`: every problem of a manifest.

use std::io::Read;

use aws_config::SdkConfig;
use keywheel_core::engine::EngineError;
use keywheel_core::http::{self, Http};
use keywheel_core::identity::Cloud;
use keywheel_core::ids::TenantId;
use keywheel_core::manifest::{
    LoadError, MAX_BYTES, Manifest, ManifestError, ManifestSource, Problem,
};
use serde::Serialize;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::session::manifest_source;
use crate::terminal::Terminal;
use crate::text::{count, plain};

const STDIN: &str = "<stdin>";

type Loaded = Result<Manifest, ManifestError>;

/// A manifest's size, or its problems.
#[derive(Debug, Default, Serialize)]
struct Validation<'a> {
    source: &'a str,
    valid: bool,
    tenant: Option<TenantId>,
    credentials: Option<usize>,
    rules: Option<usize>,
    problems: Vec<ProblemReport<'a>>,
}

#[derive(Debug, Serialize)]
struct ProblemReport<'a> {
    line: u64,
    column: u64,
    path: &'a str,
    what: &'a str,
    cure: &'a str,
}

impl<'a> Validation<'a> {
    fn new(source: &'a str, loaded: &'a Loaded) -> Self {
        match loaded {
            Ok(manifest) => Self {
                source,
                valid: true,
                tenant: Some(manifest.tenant()),
                credentials: Some(manifest.credentials().len()),
                rules: Some(manifest.rules().len()),
                problems: Vec::new(),
            },
            Err(error) => {
                let problems = error.problems().iter().map(ProblemReport::from).collect();
                Self { source, problems, ..Self::default() }
            }
        }
    }
}

impl<'a> From<&'a Problem> for ProblemReport<'a> {
    fn from(Problem { position, path, what, cure }: &'a Problem) -> Self {
        Self { line: position.line, column: position.column, path, what, cure }
    }
}

impl Report for Validation<'_> {
    fn print(&self, terminal: &Terminal) -> Result<(), Failure> {
        let source = plain(self.source);
        for ProblemReport { line, column, path, what, cure } in &self.problems {
            let separator = if path.is_empty() { "" } else { ": " };
            let place = format!("{source}:{line}:{column}");
            let what = plain(&format!("{path}{separator}{what}"));
            terminal.print(&format!("{place}: {what}\n  cure: {}", plain(cure)))?;
        }
        if let (Some(credentials), Some(rules)) = (self.credentials, self.rules) {
            let (credentials, rules) = (count(credentials, "credential"), count(rules, "rule"));
            terminal.print(&format!("{source}: valid: {credentials}, {rules}"))?;
        }
        Ok(())
    }
}

/// Checks a manifest and prints what is wrong with the manifest.
pub(crate) async fn run(
    global: &Global,
    file: Option<&str>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let cloud = Cloud::from_env().map_err(EngineError::from)?;
    let (source, loaded) = match file {
        Some("-") => (STDIN.to_owned(), read_stdin(cloud)?),
        Some(file) => load(ManifestSource::parse(file)?, cloud).await?,
        None => load(manifest_source(global)?, cloud).await?,
    };
    terminal.show(&Validation::new(&source, &loaded))?;
    let Err(error) = &loaded else { return Ok(Exit::Done) };
    terminal.note(&format!("{}: {}", plain(&source), count(error.problems().len(), "problem")));
    Ok(Exit::Failed)
}

async fn load(source: ManifestSource, cloud: Cloud) -> Result<(String, Loaded), Failure> {
    let aws = if matches!(source, ManifestSource::File(_)) {
        // A file needs no AWS, and looking for a region may take seconds.
        SdkConfig::builder().build()
    } else {
        let http = Http::from_env().map_err(EngineError::from)?;
        http::aws::config(&http).await
    };
    let loaded = match source.load_in(&aws, cloud).await {
        Ok(manifest) => Ok(manifest),
        Err(LoadError::Invalid(error)) => Err(error),
        Err(error) => return Err(error.into()),
    };
    Ok((source.to_string(), loaded))
}

fn read_stdin(cloud: Cloud) -> Result<Loaded, Failure> {
    let mut text = String::new();
    // One byte more than is allowed shows that there are more.
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::io::stdin().lock().take(limit).read_to_string(&mut text);
    read.map_err(|error| {
        let what = format!("standard input cannot be read: {error}");
        Failure::new(Exit::Failed, what, "give UTF-8 text")
    })?;
    if text.len() > MAX_BYTES {
        let from = STDIN.to_owned();
        return Err(LoadError::TooBig { from }.into());
    }
    Ok(Manifest::parse_in(&text, STDIN, cloud))
}

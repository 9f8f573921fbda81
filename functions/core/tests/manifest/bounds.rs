//! Manifests of unusual size and form: bombs, floods, fleets, and other editors' habits.

use std::fmt::Write;

use super::{APP, parse};
use chrono::TimeDelta;

fn one(more: &str) -> String {
    format!(
        "tenant: {APP}\ncredentials:\n  one:\n    application: {APP}\n    secret: prod/one\n{more}"
    )
}

fn error(text: &str) -> String {
    parse(text).expect_err("not valid").to_string()
}

#[test]
fn a_long_text_does_not_grow_by_its_aliases() {
    let aliases = vec!["*a"; 100_000].join(", ");
    let file = format!("a: &a {}\nb: [{aliases}]\n", "x".repeat(400_000));
    let begun = std::time::Instant::now();
    let grown = error(&file);
    assert!(grown.contains("nested too deeply or grows too large"), "{grown}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_long_name_does_not_grow_by_its_problems() {
    let mut file = format!("tenant: {APP}\ncredentials:\n  ? {}\n  :\n", "x".repeat(400_000));
    for n in 0..40_000 {
        writeln!(file, "    f{n:x}: 1").expect("a string takes it");
    }
    let error = parse(&file).expect_err("not valid");
    assert!(error.to_string().len() < 100_000, "{}", error.to_string().len());
    let kept: usize = error.problems().iter().map(|problem| problem.path.len()).sum();
    assert!(error.problems().len() > 40_000 && kept < 50_000_000, "{kept}");
}

#[test]
fn a_secret_in_place_of_a_name_is_not_told() {
    let file = format!(
        "tenant: {APP}\ncredentials:\n  8Q~secret:\n    application: 1\n    secret: a\n    tags: {{ 9R~secret: 1 }}\n  8Q~secret2:\n    application: {APP}\n    secret: a\n"
    );
    let told = parse(&file).expect_err("not valid");
    assert!(!format!("{told} {told:?}").contains("~secret"), "{told}");
}

#[test]
fn bombs_and_floods_are_bounded() {
    let mut bomb = String::from("a: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "b{level}: &a{level} [{aliases}]").expect("a string takes it");
    }
    let begun = std::time::Instant::now();
    let grown = error(&bomb);
    assert!(grown.contains("nested too deeply or grows too large"), "{grown}");
    let deep = format!("a: {}", "[".repeat(5_000));
    assert!(parse(&deep).is_err());
    let mut block = String::new();
    for depth in 0..2_000 {
        writeln!(block, "{:1$}a:", "", depth % 300).expect("a string takes it");
    }
    assert!(parse(&block).is_err());
    let big = format!("# {}\n{}", "x".repeat(1024 * 1024), one(""));
    assert!(error(&big).contains("more than 1048576"));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_large_fleet_is_read() {
    let mut text = format!("tenant: {APP}\ncredentials:\n");
    for index in 0..4_000 {
        writeln!(
            text,
            "  c{index}:\n    application: {APP}\n    secret: prod/c{index}\n    lifetime: 90d\n    format: raw"
        )
        .expect("a string takes it");
    }
    assert_eq!(parse(&text).unwrap_or_else(|error| panic!("{error}")).credentials().len(), 4_000);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let text = format!("\u{feff}{}", one("    overlap: 2h\n").replace('\n', "\r\n"));
    let manifest = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        manifest.credentials().next().expect("one").settings.policy.overlap,
        TimeDelta::hours(2)
    );
}

//! Insertions into a file's text, and where each mutant's text stands afterwards.

use std::collections::HashSet;
use std::ops::Range;

/// A piece of text; `Some`: the code of this mutant alone, which may not compile.
pub(crate) type Piece = (String, Option<u32>);

/// Where a piece goes among those at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// After an inner expression; the innermost first.
    Close(usize),
    /// Before an expression; the outermost first.
    Open(usize),
    /// In place of a token.
    Replace,
}

#[derive(Debug)]
struct Edit {
    at: usize,
    rank: Rank,
    until: usize,
    pieces: Vec<Piece>,
    node: usize,
}

/// The edits of one file. A node is one place that was planted; outer nodes come before inner ones.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    edits: Vec<Edit>,
    nodes: Vec<Vec<u32>>,
}

/// A planted file.
#[derive(Debug)]
pub(crate) struct Planted {
    pub(crate) text: String,
    /// The text of each mutant alone.
    alone: Vec<(Range<usize>, u32)>,
    /// All of each node, with its mutants.
    nodes: Vec<(Range<usize>, Vec<u32>)>,
}

impl Edits {
    /// Begins a node, before those within it.
    pub(crate) fn node(&mut self, mutants: Vec<u32>) -> usize {
        self.nodes.push(mutants);
        self.nodes.len() - 1
    }

    pub(crate) fn open(&mut self, node: usize, at: usize, pieces: Vec<Piece>) {
        self.edits.push(Edit { at, rank: Rank::Open(node), until: at, pieces, node });
    }

    pub(crate) fn close(&mut self, node: usize, at: usize, pieces: Vec<Piece>) {
        let rank = Rank::Close(usize::MAX - node);
        self.edits.push(Edit { at, rank, until: at, pieces, node });
    }

    pub(crate) fn replace(&mut self, node: usize, range: Range<usize>, pieces: Vec<Piece>) {
        let Range { start: at, end: until } = range;
        self.edits.push(Edit { at, rank: Rank::Replace, until, pieces, node });
    }

    /// The mutants that are planted.
    pub(crate) fn mutants(&self) -> HashSet<u32> {
        self.nodes.iter().flatten().copied().collect()
    }

    pub(crate) fn apply(mut self, source: &str) -> Planted {
        self.edits.sort_by_key(|edit| (edit.at, edit.rank));
        let mut text = String::new();
        let mut alone = Vec::new();
        let mut spans: Vec<Option<Range<usize>>> = vec![None; self.nodes.len()];
        let mut read = 0;
        for edit in self.edits {
            text.push_str(source.get(read..edit.at).unwrap_or_default());
            read = edit.until.max(edit.at);
            let from = text.len();
            for (piece, mutant) in edit.pieces {
                let start = text.len();
                text.push_str(&piece);
                alone.extend(mutant.map(|mutant| (start..text.len(), mutant)));
            }
            if let Some(span) = spans.get_mut(edit.node) {
                let start = span.as_ref().map_or(from, |span| span.start);
                *span = Some(start..text.len());
            }
        }
        text.push_str(source.get(read..).unwrap_or_default());
        let nodes = spans
            .into_iter()
            .zip(self.nodes)
            .filter_map(|(span, ids)| Some((span?, ids)))
            .collect();
        Planted { text, alone, nodes }
    }
}

impl Planted {
    /// The mutants in whose own text an error stands.
    pub(crate) fn alone(&self, error: &Range<usize>) -> Vec<u32> {
        let hit = self.alone.iter().filter(|(span, _)| {
            span.start <= error.start && error.start < span.end && error.end <= span.end
        });
        hit.map(|(_, mutant)| *mutant).collect()
    }

    /// The mutants of the smallest node around an error.
    pub(crate) fn around(&self, error: &Range<usize>) -> Vec<u32> {
        let around = self
            .nodes
            .iter()
            .filter(|(span, _)| span.start <= error.start && error.end <= span.end);
        around.min_by_key(|(span, _)| span.len()).map(|(_, ids)| ids.clone()).unwrap_or_default()
    }
}

//! Finds the code of each mutant, and writes every mutant beside the original.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, BinOp, Block, Expr, ExprBinary, ExprStruct, ExprUnary, Signature, UnOp};

use crate::Failure;
use crate::edit::{Edits, Piece, Planted};
use crate::mutant::Mutant;

/// A planted file, and why a mutant of it is not planted.
pub(crate) struct File {
    pub(crate) planted: Planted,
    pub(crate) left_out: HashMap<u32, String>,
}

/// Plants `mutants`, which are of one file, into its text. `switch` is the path of the function `is`.
pub(crate) fn plant(text: &str, mutants: &[&Mutant], switch: &str) -> Result<File, Failure> {
    let mut starts: Vec<usize> = vec![0];
    starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
    let mut by_place: HashMap<(&str, usize), Vec<&Mutant>> = HashMap::new();
    for mutant in mutants {
        let line = *starts.get(mutant.start.line - 1).ok_or("a mutant beyond the file's end")?;
        let rest = text.get(line..).unwrap_or_default();
        let column = rest.chars().take(mutant.start.column - 1).map(char::len_utf8).sum::<usize>();
        by_place.entry((&mutant.genre, line + column)).or_default().push(mutant);
    }
    let mut planter =
        Planter { text, switch, by_place, edits: Edits::default(), why: HashMap::new() };
    let file = syn::parse_file(text).map_err(|error| format!("not parsed: {error}"))?;
    planter.visit_file(&file);
    let known: HashSet<u32> = planter.edits.mutants();
    let mut left_out = planter.why;
    for mutant in mutants.iter().filter(|mutant| !known.contains(&mutant.id)) {
        left_out.entry(mutant.id).or_insert_with(|| {
            "its place is not an expression in a function, or the kind is unknown".to_owned()
        });
    }
    Ok(File { planted: planter.edits.apply(text), left_out })
}

struct Planter<'a> {
    text: &'a str,
    switch: &'a str,
    by_place: HashMap<(&'a str, usize), Vec<&'a Mutant>>,
    edits: Edits,
    why: HashMap<u32, String>,
}

fn text(text: impl Into<String>) -> Piece {
    (text.into(), None)
}

fn range(of: &impl Spanned) -> Range<usize> {
    of.span().byte_range()
}

/// Whether a chain of `&&` holds a `let`, which stands in no parentheses.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(ExprBinary { left, op: BinOp::And(_), right, .. }) => {
            has_let(left) || has_let(right)
        }
        _ => false,
    }
}

impl<'a> Planter<'a> {
    fn at(&mut self, genre: &'static str, place: usize) -> Vec<&'a Mutant> {
        self.by_place.remove(&(genre, place)).unwrap_or_default()
    }

    fn is(&self, mutant: &Mutant) -> String {
        format!("{}({})", self.switch, mutant.id)
    }

    fn node(&mut self, mutants: &[&Mutant]) -> usize {
        self.edits.node(mutants.iter().map(|mutant| mutant.id).collect())
    }

    fn leave_out(&mut self, mutants: &[&Mutant], why: &str) {
        self.why.extend(mutants.iter().map(|mutant| (mutant.id, why.to_owned())));
    }

    /// `if is(1) { a } else if is(2) { b } else { c }`
    fn choice(
        &self,
        mutants: &[&Mutant],
        code: impl Fn(&Mutant) -> String,
        or: &str,
    ) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for mutant in mutants {
            pieces.push(text(format!("if {} {{ ", self.is(mutant))));
            pieces.push((code(mutant), Some(mutant.id)));
            pieces.push(text(" } else "));
        }
        pieces.push(text(format!("{{ {or} }}")));
        pieces
    }

    fn body(&mut self, signature: &Signature, block: &Block) {
        let Some(first) = block.stmts.first() else { return };
        let mutants = self.at("FnValue", range(first).start);
        if mutants.is_empty() {
            return;
        }
        if signature.constness.is_some() {
            return self.leave_out(&mutants, "a const fn");
        }
        if let syn::ReturnType::Type(_, of) = &signature.output
            && matches!(**of, syn::Type::ImplTrait(_))
        {
            return self.leave_out(&mutants, "a function that returns `impl Trait`");
        }
        let node = self.node(&mutants);
        let mut pieces = Vec::new();
        for mutant in mutants {
            pieces.push(text(format!(" if {} {{ ", self.is(mutant))));
            pieces.push((format!("return {};", mutant.replacement), Some(mutant.id)));
            pieces.push(text(" } "));
        }
        let brace = block.brace_token.span.open().byte_range().end;
        self.edits.open(node, brace, pieces);
    }

    fn binary(&mut self, expr: &ExprBinary, mutants: &[&Mutant]) {
        let whole = range(expr);
        let op = range(&expr.op);
        let sign = self.text.get(op.clone()).unwrap_or_default();
        let node = self.node(mutants);
        let name = format!("m{}", mutants.first().map_or(0, |mutant| mutant.id));
        let (left, right) = (format!("{name}l"), format!("{name}r"));
        match expr.op {
            BinOp::And(_) | BinOp::Or(_) => {
                // Short circuit: the right side is evaluated where the left side does not decide.
                let [mutant] = mutants else { return };
                let decides = if sign == "&&" { "!=" } else { "==" };
                self.edits.open(node, whole.start, vec![text(format!("({{ let {left}: bool = "))]);
                let then = format!("; if {left} {decides} {} {{ ", self.is(mutant));
                self.edits.replace(node, op, vec![text(then)]);
                let end = vec![text(format!(" }} else {{ {left} }} }})"))];
                self.edits.close(node, whole.end, end);
            }
            BinOp::Eq(_)
            | BinOp::Ne(_)
            | BinOp::Lt(_)
            | BinOp::Le(_)
            | BinOp::Gt(_)
            | BinOp::Ge(_) => {
                let code = |sign: &str| format!("*{left} {sign} *{right}");
                self.edits.open(node, whole.start, vec![text("(match (&(")]);
                self.edits.replace(node, op, vec![text("), &(")]);
                let mut end = vec![text(format!(")) {{ ({left}, {right}) => "))];
                end.extend(self.choice(mutants, |mutant| code(&mutant.replacement), &code(sign)));
                end.push(text(" })"));
                self.edits.close(node, whole.end, end);
            }
            _ if sign.ends_with('=') => {
                let place = self.text.get(range(&expr.left)).unwrap_or_default();
                let code = |sign: &str| format!("{place} {sign} {right}");
                self.edits.replace(node, whole.start..op.end, vec![text("(match (")]);
                let mut end = vec![text(format!(") {{ {right} => "))];
                end.extend(self.choice(mutants, |mutant| code(&mutant.replacement), &code(sign)));
                end.push(text(" })"));
                self.edits.close(node, whole.end, end);
            }
            _ => {
                let code = |sign: &str| format!("{left} {sign} {right}");
                self.edits.open(node, whole.start, vec![text("(match ((")]);
                self.edits.replace(node, op, vec![text("), (")]);
                let mut end = vec![text(format!(")) {{ ({left}, {right}) => "))];
                end.extend(self.choice(mutants, |mutant| code(&mutant.replacement), &code(sign)));
                end.push(text(" })"));
                self.edits.close(node, whole.end, end);
            }
        }
    }

    fn unary(&mut self, expr: &ExprUnary, mutants: &[&Mutant]) {
        let (whole, op) = (range(expr), range(&expr.op));
        let sign = self.text.get(op.clone()).unwrap_or_default();
        let node = self.node(mutants);
        let name = format!("m{}", mutants.first().map_or(0, |mutant| mutant.id));
        self.edits.open(node, whole.start, vec![text("(match (")]);
        self.edits.replace(node, op, vec![]);
        let mut end = vec![text(format!(") {{ {name} => "))];
        end.extend(self.choice(mutants, |_| name.clone(), &format!("{sign}{name}")));
        end.push(text(" })"));
        self.edits.close(node, whole.end, end);
    }

    fn arm(&mut self, arm: &Arm) {
        let mut deleted = self.at("MatchArm", range(arm).start);
        if deleted.is_empty() {
            deleted = self.at("MatchArm", range(&arm.pat).start);
        }
        let not = |planter: &Self, mutants: &[&Mutant]| {
            let each: Vec<_> =
                mutants.iter().map(|mutant| format!("!{}", planter.is(mutant))).collect();
            each.join(" && ")
        };
        let Some((_, guard)) = &arm.guard else {
            if !deleted.is_empty() {
                let node = self.node(&deleted);
                let piece = text(format!(" if {} ", not(self, &deleted)));
                self.edits.close(node, range(&arm.pat).end, vec![piece]);
            }
            return;
        };
        let place = range(&**guard);
        let replaced = self.at("MatchArmGuard", place.start);
        let (with_true, with_false): (Vec<_>, Vec<_>) =
            replaced.into_iter().partition(|mutant| mutant.replacement == "true");
        if has_let(guard) {
            self.leave_out(&with_true, "a guard with `let`");
            self.leave_out(&with_false, "a guard with `let`");
            if !deleted.is_empty() {
                let node = self.node(&deleted);
                let piece = text(format!("{} && ", not(self, &deleted)));
                self.edits.open(node, place.start, vec![piece]);
            }
            return;
        }
        let all: Vec<&Mutant> =
            deleted.iter().chain(&with_true).chain(&with_false).copied().collect();
        if all.is_empty() {
            return;
        }
        let node = self.node(&all);
        let dead: Vec<&Mutant> = deleted.into_iter().chain(with_false).collect();
        let mut opening = String::new();
        if !dead.is_empty() {
            opening = format!("{} && ", not(self, &dead));
        }
        opening.push('(');
        for mutant in &with_true {
            opening = format!("{opening}{} || ", self.is(mutant));
        }
        opening.push('(');
        self.edits.open(node, place.start, vec![text(opening)]);
        self.edits.close(node, place.end, vec![text("))")]);
    }

    fn fields(&mut self, expr: &ExprStruct) {
        let rest = expr.rest.as_ref().and_then(|rest| self.text.get(range(&**rest)));
        let path = self.text.get(range(&expr.path)).unwrap_or_default();
        for field in &expr.fields {
            let mutants = self.at("StructField", range(field).start);
            let [mutant] = mutants[..] else { continue };
            let (Some(rest), syn::Member::Named(name)) = (rest, &field.member) else {
                self.leave_out(&mutants, "a field without a name or a base");
                continue;
            };
            let base = match rest {
                "Default::default()" => format!("<{path} as Default>::default()"),
                rest => rest.to_owned(),
            };
            let label =
                if field.colon_token.is_none() { format!("{name}: ") } else { String::new() };
            let place = range(&field.expr);
            let node = self.node(&mutants);
            let pieces = vec![
                text(format!("{label}if {} {{ ", self.is(mutant))),
                (format!("({base}).{name}"), Some(mutant.id)),
                text(" } else { "),
            ];
            self.edits.open(node, place.start, pieces);
            self.edits.close(node, place.end, vec![text(" }")]);
        }
    }
}

impl<'ast> Visit<'ast> for Planter<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.body(&item.sig, &item.block);
        self.visit_block(&item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.body(&item.sig, &item.block);
        self.visit_block(&item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.body(&item.sig, block);
            self.visit_block(block);
        }
    }

    fn visit_expr_binary(&mut self, expr: &'ast ExprBinary) {
        let mutants = self.at("BinaryOperator", range(&expr.op).start);
        let is_chain = matches!(expr.op, BinOp::And(_));
        if is_chain && (has_let(&expr.left) || has_let(&expr.right)) {
            self.leave_out(&mutants, "`&&` in a chain with `let`");
        } else if !mutants.is_empty() {
            self.binary(expr, &mutants);
            let sign = self.text.get(range(&expr.op)).unwrap_or_default();
            if sign.ends_with('=') && !matches!(sign, "==" | "!=" | "<=" | ">=") {
                return self.visit_expr(&expr.right);
            }
        }
        visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'ast ExprUnary) {
        if !matches!(expr.op, UnOp::Deref(_)) {
            let mutants = self.at("UnaryOperator", range(&expr.op).start);
            if !mutants.is_empty() {
                self.unary(expr, &mutants);
            }
        }
        visit::visit_expr_unary(self, expr);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.arm(arm);
        if let Some((_, guard)) = &arm.guard {
            self.visit_expr(guard);
        }
        self.visit_expr(&arm.body);
    }

    fn visit_expr_struct(&mut self, expr: &'ast ExprStruct) {
        self.fields(expr);
        visit::visit_expr_struct(self, expr);
    }

    /// The length is a constant.
    fn visit_expr_repeat(&mut self, expr: &'ast syn::ExprRepeat) {
        self.visit_expr(&expr.expr);
    }

    // Constants, patterns, types and attributes hold no code that runs.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_span(&mut self, _: &Span) {}
}

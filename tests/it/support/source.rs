//! The source tree as rules look at it: tokens, functions, and which lines are tests.
//!
//! Comments and doc comments are no tokens; what is inside a macro is.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{spanned::Spanned, visit::Visit};

pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    /// Name, first line, number of lines.
    pub(crate) functions: Vec<(String, usize, usize)>,
    pub(crate) test_modules: Vec<RangeInclusive<usize>>,
    pub(crate) is_test: bool,
}

pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) in_attribute: bool,
}

static TREE: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut files = files_below("src");
    files.extend(files_below("tests"));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    parse(files.iter().map(|path| {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        (path.to_str().unwrap().to_owned(), text)
    }))
});

/// Folders of the repository, besides which there are files at its root.
const FOLDERS: [&str; 9] = [
    "src",
    "tests",
    "migrations",
    "scripts",
    "docs",
    "openapi",
    ".ci",
    ".config",
    ".sqlx",
];

/// Files at the root that are not committed, or not by us.
const NOT_OURS: [&str; 3] = [".env", ".git", "Cargo.lock"];

/// Every source file below `src` and `tests`.
pub(crate) fn tree() -> &'static [Source] {
    &TREE
}

/// The path and the text of every text file of the repository.
pub(crate) fn texts() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| files_below(folder))
        .collect();
    for entry in std::fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let is_ours = NOT_OURS.iter().all(|name| entry.file_name() != *name);
        if is_ours && entry.file_type().unwrap().is_file() {
            files.push(PathBuf::from(entry.file_name()));
        }
    }
    files
        .into_iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(root().join(&path)).ok()?;
            Some((path.to_str().unwrap().to_owned(), text))
        })
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Paths from the root.
fn files_below(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(root().join(&folder)) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Reads sources, paths and texts, that belong together.
pub(crate) fn parse(texts: impl IntoIterator<Item = (String, String)>) -> Vec<Source> {
    let mut tree = Vec::new();
    let mut test_files = Vec::new();
    for (path, text) in texts {
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut items = Items::default();
        items.visit_file(&file);
        let base = ["/mod", "/lib", "/main"]
            .iter()
            .fold(path.trim_end_matches(".rs"), |base, file| {
                base.trim_end_matches(file)
            });
        test_files.extend(items.test_files.iter().map(|name| format!("{base}/{name}")));
        let mut tokens = Vec::new();
        flatten(text.parse().unwrap(), false, &mut tokens);
        tree.push(Source {
            is_test: path.starts_with("tests/"),
            path,
            text,
            tokens,
            functions: items.functions,
            test_modules: items.test_modules,
        });
    }
    for source in &mut tree {
        source.is_test |= test_files.iter().any(|test| {
            source.path == format!("{test}.rs") || source.path.starts_with(&format!("{test}/"))
        });
    }
    tree
}

#[derive(Default)]
struct Items {
    functions: Vec<(String, usize, usize)>,
    test_modules: Vec<RangeInclusive<usize>>,
    /// Names of test modules that are files of their own.
    test_files: Vec<String>,
}

impl Items {
    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let (first, last) = (signature.span().start().line, body.span().end().line);
        self.functions
            .push((signature.ident.to_string(), first, last - first + 1));
    }
}

impl<'ast> Visit<'ast> for Items {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = module.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<syn::Ident>()
                    .is_ok_and(|condition| condition == "test")
        });
        if is_test && module.content.is_some() {
            let span = module.span();
            self.test_modules.push(span.start().line..=span.end().line);
        } else if is_test {
            self.test_files.push(module.ident.to_string());
        }
        syn::visit::visit_item_mod(self, module);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.sig, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }
}

/// All tokens in a row, brackets included, without doc comments.
fn flatten(stream: TokenStream, in_attribute: bool, tokens: &mut Vec<Token>) {
    let mut after_hash = false;
    for tree in stream {
        let mut push = |text: String, span: proc_macro2::Span| {
            tokens.push(Token {
                text,
                line: span.start().line,
                in_attribute,
            });
        };
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                let opens_one = after_hash && open == "[";
                let first = group.stream().into_iter().next();
                if opens_one && first.is_some_and(|first| first.to_string() == "doc") {
                    after_hash = false;
                    continue;
                }
                push(open.to_owned(), group.span_open());
                flatten(group.stream(), in_attribute || opens_one, tokens);
                tokens.push(Token {
                    text: close.to_owned(),
                    line: group.span_close().start().line,
                    in_attribute,
                });
                after_hash = false;
            }
            tree => {
                let text = tree.to_string();
                after_hash = text == "#" || (after_hash && text == "!");
                push(text, tree.span());
            }
        }
    }
}

impl Source {
    pub(crate) fn is_in_tests(&self, line: usize) -> bool {
        self.is_test || self.test_modules.iter().any(|lines| lines.contains(&line))
    }

    pub(crate) fn is_below(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    pub(crate) fn has(&self, at: usize, expected: &[&str]) -> bool {
        let found = self.tokens[at..].iter().map(|token| token.text.as_str());
        found.take(expected.len()).eq(expected.iter().copied())
    }

    /// Every path that starts at the crate's root, and the line on which it starts.
    pub(crate) fn paths_from_the_root(&self) -> Vec<(usize, Vec<String>)> {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let depth = inside.trim_end_matches("/mod").split('/').count();
        let mut paths = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            let is_continued = at >= 1 && self.tokens[at - 1].text == ":";
            let root = match token.text.as_str() {
                "crate" => Some(at),
                "super" if !is_continued => {
                    let more =
                        (1..depth).take_while(|n| self.has(at + 3 * n - 2, &[":", ":", "super"]));
                    let more = more.count();
                    (more + 1 == depth).then_some(at + 3 * more)
                }
                _ => None,
            };
            if let Some(root) = root {
                let mut found = Vec::new();
                self.expand(root + 1, Vec::new(), &mut found);
                paths.extend(found.into_iter().map(|path| (token.line, path)));
            }
        }
        paths
    }

    /// Reads on from behind a segment, into every branch of a `{}`; returns where it stopped.
    fn expand(&self, mut at: usize, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
        while self.has(at, &[":", ":"]) {
            at += 2;
            match self.tokens.get(at).map(|token| token.text.as_str()) {
                Some("{") => {
                    at += 1;
                    while !self.has(at, &["}"]) {
                        let mut branch = path.clone();
                        branch.push(self.tokens[at].text.clone());
                        at = self.expand(at + 1, branch, found);
                        while !self.has(at, &["}"]) && !self.has(at, &[","]) {
                            at += 1;
                        }
                        at += usize::from(self.has(at, &[","]));
                    }
                    return at + 1;
                }
                Some(segment) if segment.starts_with(char::is_alphabetic) => {
                    path.push(segment.to_owned());
                    at += 1;
                }
                _ => break,
            }
        }
        if !path.is_empty() {
            found.push(path);
        }
        at
    }
}

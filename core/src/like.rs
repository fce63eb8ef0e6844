//! PostgreSQL's LIKE, and the cost categories that are decided by it (SPEC 2.10).

use crate::error::{Error, Result};
use crate::lookups::CostCategory;

/// A LIKE pattern: `%` any sequence, `_` any one character, backslash takes the next literally.
#[derive(Debug, Clone)]
struct Pattern(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Sequence,
    Any,
    Char(char),
}

impl Pattern {
    fn parse(pattern: &str) -> Result<Self> {
        let mut tokens = Vec::new();
        let mut chars = pattern.chars();
        while let Some(next) = chars.next() {
            tokens.push(match next {
                '%' => Token::Sequence,
                '_' => Token::Any,
                '\\' => Token::Char(chars.next().ok_or_else(|| {
                    Error::config(format!(
                        "cost category pattern {pattern:?} ends with a lone backslash; double it"
                    ))
                })?),
                other => Token::Char(other),
            });
        }
        tokens.dedup_by(|a, b| *a == Token::Sequence && *b == Token::Sequence);
        Ok(Self(tokens))
    }

    /// Greedy with one point of return: on a mismatch only the latest `%` may swallow one more.
    fn matches(&self, text: &str) -> bool {
        let (mut token, mut rest) = (0, text);
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let mut chars = rest.chars();
            match (self.0.get(token), chars.next()) {
                (None, None) => return true,
                (Some(Token::Sequence), _) => {
                    token += 1;
                    retry = Some((token, rest));
                    continue;
                }
                (Some(Token::Any), Some(_)) => {
                    (token, rest) = (token + 1, chars.as_str());
                    continue;
                }
                (Some(Token::Char(wanted)), Some(found)) if *wanted == found => {
                    (token, rest) = (token + 1, chars.as_str());
                    continue;
                }
                _ => {}
            }
            let Some((after, swallowed)) = retry else { return false };
            let mut chars = swallowed.chars();
            if chars.next().is_none() {
                return false;
            }
            retry = Some((after, chars.as_str()));
            (token, rest) = (after, chars.as_str());
        }
    }
}

/// The categories of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Matches {
    /// The ids of all patterns that match, ascending.
    pub(crate) ids: Vec<i32>,
}

impl Matches {
    /// The id that a Pod or Storage row carries: the largest (SPEC 2.5).
    pub(crate) fn id(&self) -> Option<i32> {
        self.ids.last().copied()
    }

    /// How often the join repeats a line item: once even where nothing matches (SPEC 2.5).
    pub(crate) fn multiplicity(&self) -> u64 {
        self.ids.len().max(1) as u64
    }
}

/// All cost-category patterns of a tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Categories(Vec<(Pattern, i32)>);

impl Categories {
    /// Compiles the patterns.
    pub(crate) fn new(categories: &[CostCategory]) -> Result<Self> {
        categories
            .iter()
            .map(|category| Ok((Pattern::parse(&category.namespace)?, category.cost_category_id)))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// The categories of a namespace; NULL is like nothing.
    pub(crate) fn matches(&self, namespace: Option<&str>) -> Matches {
        let mut ids: Vec<i32> = namespace
            .map(|namespace| {
                self.0.iter().filter(|(pattern, _)| pattern.matches(namespace)).map(|(_, id)| *id).collect()
            })
            .unwrap_or_default();
        ids.sort_unstable();
        Matches { ids }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_postgresql() {
        for (pattern, text, expected) in [
            ("openshift-%", "openshift-monitoring", true),
            ("openshift-%", "openshift", false),
            ("openshift-%", "OpenShift-x", false),
            ("openshift", "openshift", true),
            ("%monitoring", "openshift-monitoring", true),
            ("%o%o%", "foo", true),
            ("%o%o%", "fo", false),
            ("kube_system", "kube-system", true),
            ("kube_system", "kubesystem", false),
            (r"n\_s", "n_s", true),
            (r"n\_s", "nxs", false),
            (r"100\%", "100%", true),
            (r"100\%", "1000", false),
            ("_", "é", true),
            ("", "", true),
            ("", "x", false),
            ("%", "", true),
            ("a%b%c", "a-b-b-c-c", true),
            ("%ab", "aab", true),
        ] {
            assert_eq!(
                Pattern::parse(pattern).expect("parses").matches(text),
                expected,
                "{text} LIKE {pattern}"
            );
        }
    }

    #[test]
    fn hostile_patterns_stay_quick() {
        let pattern = Pattern::parse(&"%a".repeat(200)).expect("parses");
        assert!(!pattern.matches(&("a".repeat(5_000) + "b")));
    }

    #[test]
    fn a_lone_backslash_is_refused_with_its_pattern() {
        let error = Categories::new(&[CostCategory { namespace: r"a\".into(), cost_category_id: 1 }])
            .expect_err("refused");
        assert!(error.to_string().contains(r#""a\\""#), "{error}");
    }
}

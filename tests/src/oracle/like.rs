//! PostgreSQL's LIKE by trying everything (SPEC 2.10).

use daysum_core::{CostCategory, Error, Result};

/// The patterns of a tenant.
#[derive(Clone, Copy)]
pub(super) struct Categories<'a>(pub(super) &'a [CostCategory]);

impl Categories<'_> {
    /// One id per pattern that matches; a NULL namespace is like nothing.
    pub(super) fn matching(&self, namespace: Option<&str>) -> Result<Vec<i32>> {
        let mut ids = Vec::new();
        for category in self.0 {
            let pattern: Vec<char> = category.namespace.chars().collect();
            let text: Vec<char> = namespace.unwrap_or_default().chars().collect();
            if like(&text, &pattern)? && namespace.is_some() {
                ids.push(category.cost_category_id);
            }
        }
        Ok(ids)
    }
}

fn like(text: &[char], pattern: &[char]) -> Result<bool> {
    match pattern {
        [] => Ok(text.is_empty()),
        ['%', rest @ ..] => {
            for skipped in 0..=text.len() {
                if like(&text[skipped..], rest)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        ['\\'] => Err(Error::Config { reason: "a LIKE pattern must not end with a backslash".into() }),
        ['\\', literal, rest @ ..] => Ok(text.first() == Some(literal) && like(&text[1..], rest)?),
        ['_', rest @ ..] => Ok(!text.is_empty() && like(&text[1..], rest)?),
        [literal, rest @ ..] => Ok(text.first() == Some(literal) && like(&text[1..], rest)?),
    }
}

//! The files of a run, before any row is read: footers one after the other, then the plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use daysum_core::decode::{Footer, FooterDecoder, FooterStep, Layouts};
use daysum_core::drive::{KeyFacts, Plan, plan};
use daysum_core::port::ObjectMeta;
use daysum_core::schema::FactKind;
use daysum_core::{Day, Error, Location, Lookups, Result as CoreResult};

use crate::error::Told;
use crate::reading::Reading;

/// Longest range that is taken from the files themselves: a made-up date must not ask for a million days.
const MOST_DAYS: i32 = 3660;

/// What comes next.
#[derive(Debug)]
pub(crate) enum FilesStep {
    /// Bytes of the current file.
    Read(Reading),
    /// A file is done, or known to be unreadable.
    Went,
    /// All are.
    Done,
}

/// Files whose footers are being read.
#[derive(Debug, Default)]
pub(crate) struct Files {
    metas: Vec<ObjectMeta>,
    found: Vec<CoreResult<Footer>>,
    refused: Vec<Option<Told>>,
    decoder: Option<FooterDecoder>,
    layouts: Layouts,
}

impl Files {
    pub(crate) fn add(&mut self, name: &str, size: f64, version: Option<String>) -> Result<(), Told> {
        if name.is_empty() || !(0.0..=9e15).contains(&size) || size.fract() != 0.0 {
            return Err(Told::config(format!("{name:?} of {size} bytes is no file")));
        }
        if self.metas.iter().any(|meta| *meta.key == *name) {
            // Twice the same rows, or two files that no message could tell apart.
            let at = Location::object(name);
            return Err(
                Told::new("overlap", format!("{name} is there twice; give each file its own name")).at(&at)
            );
        }
        self.metas.push(ObjectMeta {
            key: name.into(),
            size: size as u64,
            version: version.map(Arc::from),
            ..ObjectMeta::default()
        });
        self.refused.push(None);
        Ok(())
    }

    pub(crate) fn refuse(&mut self, file: usize, error: Told) -> Result<(), Told> {
        *self.refused.get_mut(file).ok_or_else(|| Told::config("no such file"))? = Some(error);
        Ok(())
    }

    pub(crate) fn position(&self, name: &str) -> usize {
        self.metas.iter().position(|meta| *meta.key == *name).unwrap_or_default()
    }

    /// Which file is being read.
    pub(crate) fn current(&self) -> usize {
        self.found.len()
    }

    /// Goes on by one step.
    pub(crate) fn step(&mut self) -> FilesStep {
        let file = self.found.len();
        let Some(meta) = self.metas.get(file) else { return FilesStep::Done };
        if let Some(Some(told)) = self.refused.get(file) {
            let at = Box::new(Location { row_group: told.row_group, ..Location::object(meta.key.clone()) });
            self.found.push(Err(Error::Format { at, reason: told.message.clone() }));
            return FilesStep::Went;
        }
        let step = match &mut self.decoder {
            Some(decoder) => decoder.step(),
            None => FooterDecoder::new(meta).and_then(|decoder| self.decoder.insert(decoder).step()),
        };
        match step {
            Ok(FooterStep::Need(ranges)) => return FilesStep::Read(Reading::new(ranges)),
            Ok(FooterStep::Done(footer)) => self.found.push(Ok(self.layouts.share(*footer))),
            Err(error) => self.found.push(Err(error)),
        }
        self.decoder = None;
        FilesStep::Went
    }

    pub(crate) fn supply(&mut self, reading: Reading) {
        if let Some(decoder) = &mut self.decoder
            && let Err(error) = decoder.supply(reading.finish())
        {
            self.found.push(Err(error));
            self.decoder = None;
        }
    }

    /// The source whose files these are, where the lookups name none: in koku's paths each has a folder of its own, and
    /// several would be added up as one.
    pub(crate) fn fill_source(&self, lookups: &mut Lookups) -> Result<(), Told> {
        if !lookups.source_uuid.is_empty() {
            return Ok(());
        }
        let sources: BTreeSet<String> = self.names().filter_map(|name| KeyFacts::of(name).source).collect();
        if sources.len() > 1 {
            let sources = Vec::from_iter(sources).join(", ");
            return Err(Told::config(format!(
                "the files are of several sources: {sources}; say which one is meant (source_uuid)"
            )));
        }
        lookups.source_uuid = sources.into_iter().next().unwrap_or_default();
        Ok(())
    }

    /// The days that the files' own statistics span, where the lookups name none. False where there is nothing to ask:
    /// without a single readable file any range does, and each file says for itself what is wrong with it.
    pub(crate) fn fill_range(&self, lookups: &mut Lookups) -> Result<bool, Told> {
        if lookups.year.is_some() || (lookups.start_date.is_some() && lookups.end_date.is_some()) {
            return Ok(true);
        }
        let mut span: Option<(Day, Day)> = None;
        for footer in self.found.iter().flatten() {
            let Some(kind) = footer.table().ok().and_then(|table| FactKind::of(table, footer.grain(), false))
            else {
                continue;
            };
            for group in footer.row_groups(kind).into_iter().filter(|group| group.rows > 0) {
                // Rows of days that nobody asked for would be left out without a word.
                let Some((first, last)) = group.days else {
                    let at = Location::object(footer.object().clone()).row_group(group.index);
                    let message = format!("{at} does not say which days it holds: give start and end");
                    return Err(Told::config(message).at(&at));
                };
                span = Some(span.map_or((first, last), |span| (span.0.min(first), span.1.max(last))));
            }
        }
        let is_known = span.is_some();
        let (first, last) = span.unwrap_or((Day(0), Day(0)));
        if last.0.saturating_sub(first.0) > MOST_DAYS {
            return Err(Told::config(format!(
                "the files say that they span {first} to {last}: give start and end"
            )));
        }
        lookups.start_date.get_or_insert_with(|| first.to_string());
        lookups.end_date.get_or_insert_with(|| last.to_string());
        Ok(is_known)
    }

    /// The first file that cannot be read, for runs that stop there.
    pub(crate) fn first_error(&self) -> Option<Told> {
        let files = self.metas.iter().zip(&self.found);
        files.into_iter().find_map(|(meta, found)| Some(self.told(&meta.key, found.as_ref().err()?)))
    }

    /// An error of a file: what an earlier attempt said, if this is a file that was refused.
    pub(crate) fn told(&self, name: &str, error: &Error) -> Told {
        self.refused[self.position(name)].clone().unwrap_or_else(|| error.into())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.metas.iter().map(|meta| &*meta.key)
    }

    pub(crate) fn plan(&mut self, lookups: &Lookups) -> CoreResult<Plan> {
        plan(self.metas.iter().cloned().zip(self.found.drain(..)).collect(), lookups)
    }
}

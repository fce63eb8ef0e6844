//! Civil days in UTC, the unit of everything here, without a time crate in the public interface.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A UTC day, as days since 1970-01-01 (Arrow's Date32).
///
/// ```
/// use daysum_core::Day;
/// let day: Day = "2024-02-29".parse()?;
/// assert_eq!(day.days_in_month(), 29);
/// assert_eq!(day.next().to_string(), "2024-03-01");
/// # Ok::<(), daysum_core::Error>(())
/// ```
///
/// Serialised as `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(pub i32);

/// Milliseconds in a day.
pub const MILLIS_PER_DAY: i64 = 86_400_000;

impl Day {
    /// The day that holds this instant, given in milliseconds since the epoch.
    ///
    /// Instants further than 5.8 million years away saturate; nothing real is near them.
    pub fn from_millis(millis: i64) -> Self {
        let days = millis.div_euclid(MILLIS_PER_DAY);
        Self(days.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32)
    }

    /// The day of a civil date; `None` where the calendar has no such day.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
            return None;
        }
        // Years are counted from March, so that the leap day is the last of its year.
        let y = i64::from(year) - i64::from(month <= 2);
        let era = y.div_euclid(400);
        let year_of_era = y.rem_euclid(400);
        let day_of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        i32::try_from(era * 146_097 + day_of_era - 719_468).ok().map(Self)
    }

    /// Year, month and day of month.
    pub fn ymd(self) -> (i32, u32, u32) {
        let z = i64::from(self.0) + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
        let month = ((month_from_march + 2) % 12 + 1) as u32;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year as i32, month, day)
    }

    /// The year and month it lies in.
    pub fn month(self) -> Month {
        let (year, month, _) = self.ymd();
        Month { year, month }
    }

    /// The number of days of its month: the D of SPEC 2.7.
    pub fn days_in_month(self) -> u32 {
        let (year, month, _) = self.ymd();
        days_in(year, month)
    }

    /// The following day.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// This day and the following ones up to `last`; none where that is earlier.
    ///
    /// ```
    /// use daysum_core::Day;
    /// assert_eq!(Day(5).through(Day(7)).collect::<Vec<_>>(), [Day(5), Day(6), Day(7)]);
    /// assert_eq!(Day(5).through(Day(4)).count(), 0);
    /// ```
    pub fn through(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }

    /// Midnight UTC, in milliseconds since the epoch.
    pub fn start_millis(self) -> i64 {
        i64::from(self.0) * MILLIS_PER_DAY
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = Error;

    /// Reads `YYYY-MM-DD`.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.splitn(3, '-');
        let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
        number()
            .zip(number())
            .zip(number())
            .and_then(|((year, month), day)| Self::from_ymd(i32::try_from(year).ok()?, month, day))
            .ok_or_else(|| Error::config(format!("{text:?} is not a date; write YYYY-MM-DD")))
    }
}

impl TryFrom<String> for Day {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

/// A calendar month: what koku partitions its files by.
///
/// Serialised as `YYYY-MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    /// Four-digit year.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
}

impl Month {
    /// The first day.
    pub fn first(self) -> Day {
        Day::from_ymd(self.year, self.month, 1).unwrap_or(Day(0))
    }
    /// The last day.
    pub fn last(self) -> Day {
        Day(self.first().0 + days_in(self.year, self.month) as i32 - 1)
    }
    /// This month and the following ones up to `last`; none where that is earlier.
    pub fn through(self, last: Self) -> impl Iterator<Item = Self> {
        let next = |month: &Self| Some(month.last().next().month());
        std::iter::successors(Some(self), next).take_while(move |month| *month <= last)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = Error;

    /// Reads `YYYY-MM`.
    fn from_str(text: &str) -> Result<Self> {
        format!("{text}-01")
            .parse::<Day>()
            .map(Day::month)
            .map_err(|_| Error::config(format!("{text:?} is not a month; write YYYY-MM")))
    }
}

impl TryFrom<String> for Month {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

fn days_in(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_survives_the_round_trip() {
        let first = Day::from_ymd(1600, 1, 1).expect("in the calendar").0;
        let last = Day::from_ymd(2400, 12, 31).expect("in the calendar").0;
        for number in first..=last {
            let (year, month, day) = Day(number).ymd();
            assert_eq!(Day::from_ymd(year, month, day), Some(Day(number)));
        }
        assert_eq!(Day::from_ymd(1970, 1, 1), Some(Day(0)));
    }

    #[test]
    fn days_outside_the_calendar_are_refused() {
        for text in ["2025-02-29", "2025-13-01", "2025-00-10", "2025-01-00", "today", "", "2025-1"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn instants_before_the_epoch_belong_to_the_day_they_are_in() {
        assert_eq!(Day::from_millis(-1), Day(-1));
        assert_eq!(Day::from_millis(0), Day(0));
        assert_eq!(Day::from_millis(MILLIS_PER_DAY - 1), Day(0));
    }

    #[test]
    fn months_know_their_ends() {
        let month: Month = "2024-02".parse().expect("a month");
        assert_eq!(
            (month.first().to_string(), month.last().to_string()),
            ("2024-02-01".into(), "2024-02-29".into())
        );
        assert_eq!(serde_json::to_value(month).expect("text"), "2024-02");
        assert_eq!(serde_json::from_value::<Month>("2024-02".into()).expect("a month"), month);
    }
}

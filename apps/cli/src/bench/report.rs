//! What came of a load.

use core::fmt;
use core::time::Duration;

use alloc::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::load::{Crew, Load};

/// The figures; times in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    url: String,
    connections: usize,
    /// Messages per second, if the load was open.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    in_flight: usize,
    size: usize,
    seconds: f64,
    connected: usize,
    connected_in_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connecting_us: Option<Spread>,
    sent: u64,
    unsent: u64,
    unanswered: u64,
    /// Answers per second.
    answers_per_second: f64,
    /// If there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_us: Option<Spread>,
    lost: usize,
    errors: BTreeMap<String, usize>,
}

/// A distribution, by its percentiles.
#[derive(Debug, Serialize)]
struct Spread {
    min: f64,
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    p99_99: f64,
    max: f64,
}

impl Spread {
    /// Of nothing there is none.
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let at = |quantile| micros(histogram.value_at_quantile(quantile) as f64);
        Some(Self {
            min: micros(histogram.min() as f64),
            mean: micros(histogram.mean()),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: micros(histogram.max() as f64),
        })
    }
}

/// From nanoseconds, to a tenth.
fn micros(nanos: f64) -> f64 {
    (nanos / 100.0).round() / 10.0
}

impl Report {
    pub(super) fn new(load: &Load, crew: &Crew) -> Self {
        let counts = crew.counts();
        let tally = crew.tally();
        let seconds = load.duration.as_secs_f64();
        let is_open = load.schedule.is_some();
        Self {
            url: load.target.url.clone(),
            connections: load.connections,
            rate: load.schedule.as_ref().map(|schedule| schedule.rate),
            in_flight: load.in_flight,
            size: load.message.as_bytes().len(),
            seconds,
            connected: tally.opening.len() as usize,
            connected_in_ms: tally.opened_in.as_secs_f64() * 1e3,
            connecting_us: Spread::of(&tally.opening),
            sent: counts.sent,
            unsent: counts.unsent,
            unanswered: tally.unanswered,
            answers_per_second: counts.answered as f64 / seconds,
            latency_us: Spread::of(&counts.latency),
            lag_us: is_open.then(|| Spread::of(&counts.lag)).flatten(),
            lost: tally.lost,
            errors: tally.faults.clone(),
        }
    }

    /// Whether everything was answered.
    pub(super) fn is_flawless(&self) -> bool {
        self.errors.is_empty() && self.unanswered == 0 && self.unsent == 0
    }

    pub(super) fn to_json(&self) -> String {
        // There is nothing in it that JSON has no form for.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.answers_per_second * self.size as f64;
        write!(
            f,
            "connections  {} of {} to {}, in {:.0} ms",
            self.connected, self.connections, self.url, self.connected_in_ms
        )?;
        write!(f, "\nload         ")?;
        match self.rate {
            Some(rate) => write!(f, "{} messages/s, each at its time", grouped(rate))?,
            None => write!(f, "the next message when an answer comes")?,
        }
        write!(
            f,
            "; {} bytes, up to {} under way each",
            self.size, self.in_flight
        )?;
        write!(
            f,
            "\nmessages     {} sent in {}",
            grouped(self.sent as f64),
            humantime::format_duration(Duration::from_secs_f64(self.seconds))
        )?;
        if self.unsent > 0 {
            write!(f, ", {} more were due", grouped(self.unsent as f64))?;
        }
        write!(f, ", {} not answered", grouped(self.unanswered as f64))?;
        write!(
            f,
            "\nanswers      {} per second, {:.1} MB/s",
            grouped(self.answers_per_second),
            bytes / 1e6
        )?;
        if let Some(latency) = &self.latency_us {
            line(f, "latency", latency)?;
        }
        if let Some(lag) = &self.lag_us {
            line(f, "own delay", lag)?;
            let latency = self.latency_us.as_ref().map_or(0.0, |latency| latency.p99);
            if lag.p99 * 2.0 > latency && lag.p99 > 1_000.0 {
                write!(
                    f,
                    "\n             (this program could not keep to the times: \
                     the server may be faster than it looks)"
                )?;
            }
        }
        for (error, count) in &self.errors {
            write!(f, "\nerror        {count} x {error}")?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, spread: &Spread) -> fmt::Result {
    write!(f, "\n{name:<12} ")?;
    let columns = [
        ("p50", spread.p50),
        ("p90", spread.p90),
        ("p99", spread.p99),
        ("p99.9", spread.p99_9),
        ("p99.99", spread.p99_99),
        ("max", spread.max),
        ("mean", spread.mean),
    ];
    for (at, (name, value)) in columns.into_iter().enumerate() {
        let comma = if at > 0 { "  " } else { "" };
        write!(f, "{comma}{name} {}", time(value))?;
    }
    Ok(())
}

fn time(micros: f64) -> String {
    match micros {
        ..1e3 => format!("{micros:.0} µs"),
        1e3..1e6 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// A whole number with commas between thousands.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (number, text) in [(0.0, "0"), (999.6, "1,000"), (1234567.0, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (micros, text) in [(12.3, "12 µs"), (1500.0, "1.50 ms"), (2e6, "2.00 s")] {
            assert_eq!(time(micros), text);
        }
    }
}

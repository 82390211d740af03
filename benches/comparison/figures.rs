//! The figures of each round, and the medians and spreads that follow from them.

use crate::operation::Operation;
use crate::peer::Peer;

/// All figures of a run.
#[derive(Default)]
pub(crate) struct Figures(Vec<Series>);

/// The figures of one operation of one peer.
struct Series {
    operation: Operation,
    peer: Peer,
    /// One for each round, where there was one.
    rounds: Vec<Option<Figure>>,
    /// Why one is missing.
    gap: Option<String>,
}

/// The figure of a round.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    /// The share of time in which the core worked for it, if CPU is measured.
    pub(crate) busy: Option<f64>,
}

/// A median with its spread.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Figures {
    /// Records a round's figure, or why there is none.
    pub(crate) fn note(&mut self, operation: Operation, peer: Peer, figure: anyhow::Result<Figure>) {
        let at = self.0.iter().position(|series| series.operation == operation && series.peer == peer);
        let at = at.unwrap_or_else(|| {
            self.0.push(Series { operation, peer, rounds: Vec::new(), gap: None });
            self.0.len() - 1
        });
        let series = &mut self.0[at];
        match figure {
            Ok(figure) => series.rounds.push(Some(figure)),
            Err(error) => {
                series.rounds.push(None);
                series.gap = Some(format!("{error:#}"));
            }
        }
    }

    /// Returns whether anything was measured of it.
    pub(crate) fn has(&self, operation: Operation) -> bool {
        self.0.iter().any(|series| series.operation == operation)
    }

    /// Returns why figures of a peer are missing.
    pub(crate) fn gap(&self, operation: Operation, peer: Peer) -> Option<&str> {
        self.series(operation, peer)?.gap.as_deref()
    }

    pub(crate) fn spread(&self, operation: Operation, peer: Peer) -> Option<Spread> {
        Spread::of(self.rounds(operation, peer).iter().flatten().map(|figure| figure.value).collect())
    }

    /// Returns which part of the time the core was at work.
    pub(crate) fn busy(&self, operation: Operation, peer: Peer) -> Option<Spread> {
        Spread::of(self.rounds(operation, peer).iter().flatten().filter_map(|figure| figure.busy).collect())
    }

    /// Returns the spread of what `compute` makes of the figures of the same round.
    pub(crate) fn together<const N: usize>(
        &self,
        of: [(Operation, Peer); N],
        compute: impl Fn([f64; N]) -> f64,
    ) -> Option<Spread> {
        let all = of.map(|(operation, peer)| self.rounds(operation, peer));
        let count = all.iter().map(|rounds| rounds.len()).min()?;
        let whole = (0..count).filter_map(|round| {
            let mut values = [0.0; N];
            for (value, rounds) in values.iter_mut().zip(all) {
                *value = rounds[round]?.value;
            }
            Some(values)
        });
        Spread::of(whole.map(compute).collect())
    }

    fn rounds(&self, operation: Operation, peer: Peer) -> &[Option<Figure>] {
        self.series(operation, peer).map_or(&[], |series| &series.rounds)
    }

    fn series(&self, operation: Operation, peer: Peer) -> Option<&Series> {
        self.0.iter().find(|series| series.operation == operation && series.peer == peer)
    }
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[middle]
        } else {
            f64::midpoint(figures[middle - 1], figures[middle])
        };
        Some(Self { median, least, most })
    }

    /// Returns the median, and in brackets how far the rest goes.
    pub(crate) fn show(self, digits: usize) -> String {
        let Self { median, least, most } = self;
        format!("{median:.digits$} ({least:.digits$} .. {most:.digits$})")
    }
}

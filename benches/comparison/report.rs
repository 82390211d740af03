//! The results as a page of tables.

use std::fmt::Write as _;
use std::path::Path;

use crate::budgets::{BUDGETS, Budget};
use crate::figures::Figures;
use crate::operation::Operation;
use crate::peer::Peer;
use crate::receiver::Receiver;

/// Returns all tables: the budgets first, then each operation.
pub(crate) fn tables(figures: &Figures, operations: &[Operation]) -> String {
    let mut page = String::new();
    budgets(&mut page, figures);
    for operation in operations.iter().filter(|operation| figures.has(**operation)) {
        table(&mut page, figures, *operation);
    }
    page
}

/// Writes the page, and keeps the file's notes and everything below them.
pub(crate) fn write(file: &Path, page: &str) -> anyhow::Result<()> {
    let before = std::fs::read_to_string(file).unwrap_or_default();
    let notes = before.find(NOTES).map_or(NOTES, |at| &before[at..]);
    std::fs::write(file, format!("{page}{notes}"))?;
    Ok(())
}

fn budgets(page: &mut String, figures: &Figures) {
    let rows: Vec<String> = BUDGETS
        .iter()
        .filter(|budget| figures.has(budget.operation))
        .map(|budget| row_of_budget(figures, budget))
        .collect();
    if !rows.is_empty() {
        say(page, "## Budgets\n\n| what | budget (stretch) | measured | |\n|---|---|---|---|");
        for row in &rows {
            say(page, row);
        }
        say(page, "");
    }
}

fn row_of_budget(figures: &Figures, budget: &Budget) -> String {
    let stretch = budget.stretch.map(|stretch| format!(" ({stretch})")).unwrap_or_default();
    let (name, limit) = (budget.name(), budget.limit);
    let Some(spread) = budget.spread(figures) else {
        return format!("| {name} | {limit}{stretch} | - | **not measured** |");
    };
    let verdict = match budget.stretch {
        Some(stretch) if spread.median <= stretch => "met, stretch too",
        _ if spread.median <= limit => "met",
        _ => "**not met**",
    };
    format!("| {name} | {limit}{stretch} | {} | {verdict} |", spread.show(2))
}

fn table(page: &mut String, figures: &Figures, operation: Operation) {
    let yardsticks = operation.yardsticks();
    let mut heads: Vec<String> = yardsticks.iter().map(|peer| format!("beside {} |", peer.short())).collect();
    let of_engine_io = operation.of_engine_io().filter(|other| figures.has(*other));
    heads.extend(of_engine_io.map(|_| "beside Engine.IO |".into()));
    let of_cpu = operation.peers().iter().any(|peer| figures.busy(operation, *peer).is_some());
    if of_cpu {
        heads.push("core at work |".into());
    }
    let (name, unit) = (capital(&operation.name()), operation.unit());
    say(page, &format!("## {name}\n\n| | {unit} | {}", heads.join(" ")));
    say(page, &format!("|---|---|{}", "---|".repeat(heads.len())));
    for peer in operation.peers() {
        let beside = yardsticks.iter().map(|other| (operation, *other));
        let beside = beside.chain(of_engine_io.map(|other| (other, *peer)));
        let ratios = beside.map(|other| ratio(figures, (operation, *peer), other)).collect::<String>();
        let figure = figures.spread(operation, *peer).map(|spread| spread.show(operation.digits()));
        let gap = figures.gap(operation, *peer).map(|gap| format!("gap: {}", gap.replace(['\n', '|'], " ")));
        let cell = figure.into_iter().chain(gap).collect::<Vec<_>>().join("; ");
        let busy = figures.busy(operation, *peer).map(|busy| format!(" {:.0} % |", busy.median * 100.0));
        say(page, &format!("| {} | {cell} |{ratios}{}", peer.name(), busy.unwrap_or_default()));
    }
    if let Some(missing) = missing(operation) {
        say(page, &format!("\n{missing}"));
    }
    say(page, "");
}

fn ratio(figures: &Figures, this: (Operation, Peer), other: (Operation, Peer)) -> String {
    let spread = figures.together([this, other], |[a, b]| a / b);
    spread.map_or_else(|| " - |".into(), |spread| format!(" {:.2} |", spread.median))
}

/// Peers that can't do it at all.
const fn missing(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::Push(Receiver::EngineIo)
        | Operation::Post(Receiver::EngineIo)
        | Operation::Echo
        | Operation::Held
        | Operation::Parked(Receiver::EngineIo) => Some(
            "Gaps: Pushpin bridges SockJS onto WebSockets, but not Engine.IO; HAProxy is compared where it relays WebSockets.",
        ),
        Operation::Push(Receiver::EventSource) | Operation::Parked(Receiver::EventSource) => {
            Some("Gap: of SockJS's transports over HTTP, Pushpin has only xhr.")
        }
        Operation::Push(Receiver::Xhr)
        | Operation::Post(_)
        | Operation::Parked(Receiver::Xhr)
        | Operation::WebSocket(_)
        | Operation::Latency
        | Operation::Connection
        | Operation::Idle
        | Operation::Grown(_)
        | Operation::PushInstructions(_)
        | Operation::Spread
        | Operation::PostInstructions(_) => None,
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn say(page: &mut String, line: &str) {
    // Writing to a string never fails.
    let _ = writeln!(page, "{line}");
}

const NOTES: &str = "## Notes\n";

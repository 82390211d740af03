//! The nearest right word for a misspelt one.

/// Returns the word that was probably meant, if any is near enough. Case and the kind of separator cost nothing.
pub(super) fn nearest<'w>(found: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let found = plain(found);
    // A long text is no misspelling, and the table grows with the square.
    if found.len() > LEN_MAX {
        return None;
    }
    let allowed = (found.len() / 3).max(1);
    let measured = words.into_iter().map(|word| (distance(&found, &plain(word)), word));
    let (_, word) = measured.filter(|(far, _)| *far <= allowed).min_by_key(|(far, _)| *far)?;
    Some(word)
}

/// Lower case, every separator alike.
pub(super) fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', '.'], "_")
}

/// Returns how many letters must be changed, added, taken away or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=from.len() {
        for j in 1..=to.len() {
            let changed = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[from.len()][to.len()]
}

const LEN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_word() {
        let words = ["listen", "tls", "max_sessions", "idle_timeout"];
        assert_eq!(nearest("listne", words), Some("listen"));
        assert_eq!(nearest("lsten", words), Some("listen"));
        assert_eq!(nearest("Max-Sessions", words), Some("max_sessions"));
        assert_eq!(nearest("idletimeout", words), Some("idle_timeout"));
        assert_eq!(nearest("enginio", ["websocket", "engine.io"]), Some("engine.io"));
    }

    #[test]
    fn another_word_altogether_finds_nothing() {
        assert_eq!(nearest("workers", ["listen", "tls"]), None);
        assert_eq!(nearest("", ["listen"]), None);
        assert_eq!(nearest(&"l".repeat(1_000_000), ["listen"]), None);
    }

    #[test]
    fn the_nearer_of_two_wins() {
        assert_eq!(nearest("ping_timeot", ["ping_interval", "ping_timeout"]), Some("ping_timeout"));
    }
}

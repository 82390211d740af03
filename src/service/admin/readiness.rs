//! Whether the proxy is ready: whether it accepts new sessions, as far as it knows.

use http::StatusCode;

use crate::cluster::Sight;
use crate::upstream::Health;

/// The current state that readiness depends on.
#[derive(Clone, Default, Debug)]
pub struct State {
    /// The proxy drains.
    pub draining: bool,
    /// Every upstream.
    pub upstreams: Vec<UpstreamState>,
    /// The cluster, if there is one.
    pub nodes: Option<NodesState>,
    /// The domains whose certificate was not issued yet. The proxy is ready all the same: else a balancer would keep the ACME
    /// server away, which must reach it first.
    pub uncertified: Vec<String>,
}

/// The current state of the nodes of a cluster.
#[derive(Clone, Default, Debug)]
pub struct NodesState {
    /// Whether it is known which nodes there are.
    pub are_known: bool,
    /// Whether another node has this one's name, and whether it started before this one.
    pub twin: Option<bool>,
    /// All nodes.
    pub sights: Vec<Sight>,
    /// Whether there is a directory that does not answer.
    pub is_directory_down: bool,
}

/// The current state of one upstream.
#[derive(Clone, Debug)]
pub struct UpstreamState {
    /// Its name.
    pub name: String,
    /// Whether the proxy is not ready without it.
    pub required: bool,
    /// The result of the last attempt to reach it.
    pub health: Health,
}

impl State {
    /// Returns whether new sessions are accepted: for the upstream with this name, or for the proxy as a whole. The
    /// text lists every upstream either way.
    pub(super) fn answer(&self, name: Option<&str>) -> (StatusCode, String) {
        let takes_sessions = match name {
            None => self.takes_sessions(),
            Some(name) => match self.upstreams.iter().find(|upstream| upstream.name == name) {
                Some(upstream) => upstream.health == Health::Up && self.may_be_asked(),
                None => return (StatusCode::NOT_FOUND, format!("no such upstream\n{}", self.list())),
            },
        };
        let (status, verdict) = match (self.draining, takes_sessions) {
            (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            // The list says why.
            (false, false) => (StatusCode::SERVICE_UNAVAILABLE, ""),
            (false, true) => (StatusCode::OK, "ready\n"),
        };
        (status, format!("{verdict}{}", self.list()))
    }

    /// Returns whether the other nodes can find the sessions of this one. That one of them is down is no reason against it:
    /// else one fault would take all nodes out of the balancer.
    fn may_be_asked(&self) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.are_known && nodes.twin != Some(true))
    }

    /// Returns whether every required upstream is up. If none is required, one is enough.
    fn takes_sessions(&self) -> bool {
        if !self.may_be_asked() {
            return false;
        }
        if self.some_are_required() {
            return self.upstreams.iter().all(|upstream| !upstream.required || upstream.health == Health::Up);
        }
        self.upstreams.is_empty() || self.upstreams.iter().any(|upstream| upstream.health == Health::Up)
    }

    fn some_are_required(&self) -> bool {
        self.upstreams.iter().any(|upstream| upstream.required)
    }

    fn list(&self) -> String {
        let line = |upstream: &UpstreamState| {
            let state = upstream.health.word();
            let note = if self.some_are_required() && !upstream.required { ", not required" } else { "" };
            format!("upstream {} is {state}{note}\n", upstream.name)
        };
        let uncertified = self.uncertified.iter().map(|domain| format!("{domain} has no certificate yet\n"));
        let nodes = self.nodes.iter().flat_map(NodesState::list);
        self.upstreams.iter().map(line).chain(nodes).chain(uncertified).collect()
    }
}

impl NodesState {
    fn list(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.are_known {
            lines.push("the other nodes are not known yet\n".to_owned());
        }
        if let Some(is_older) = self.twin {
            let which = if is_older { "an older" } else { "a younger" };
            lines.push(format!("{which} node has this node's name\n"));
        }
        if self.is_directory_down {
            lines.push("the directory is down\n".to_owned());
        }
        for sight in self.sights.iter().filter(|sight| !sight.is_self) {
            let note = if sight.routes_differ { ", with other routes" } else { "" };
            lines.push(format!("node {} is {}{note}\n", sight.node, sight.state.word()));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upstreams by name: `!` is required, `-` is down, `?` is unknown.
    fn state(upstreams: &[&str]) -> State {
        let condition = |text: &&str| UpstreamState {
            name: text.trim_matches(['!', '-', '?']).to_owned(),
            required: text.contains('!'),
            health: match text {
                _ if text.contains('-') => Health::Down,
                _ if text.contains('?') => Health::Unknown,
                _ => Health::Up,
            },
        };
        let upstreams = upstreams.iter().map(condition).collect();
        State { upstreams, ..State::default() }
    }

    #[test]
    fn one_upstream_of_several_that_is_down_does_not_make_it_unready() {
        let cases: [(&[&str], bool); 16] = [
            (&[], true),
            (&["a!"], true),
            (&["a!-"], false),
            // Even with `required = false`, it is the only one.
            (&["a-"], false),
            (&["a", "b-"], true),
            (&["a-", "b-"], false),
            (&["a!", "b-"], true),
            (&["a!-", "b"], false),
            (&["a!", "b!-"], false),
            (&["a!-", "b!-", "c"], false),
            (&["a!", "b!", "c-"], true),
            (&["a!", "b!"], true),
            (&["a?"], false),
            (&["a!?", "b"], false),
            (&["a!", "b?"], true),
            (&["a?", "b?"], false),
        ];
        for (upstreams, ready) in cases {
            let status = state(upstreams).answer(None).0;
            assert_eq!(status.is_success(), ready, "{upstreams:?}");
        }
    }

    #[test]
    fn the_text_lists_every_upstream_whether_ready_or_not() {
        let text = |upstreams: &[&str]| state(upstreams).answer(None).1;
        assert_eq!(text(&["a!"]), "ready\nupstream a is up\n");
        assert_eq!(text(&["a!-"]), "upstream a is down\n");
        assert_eq!(text(&["a!", "b?"]), "ready\nupstream a is up\nupstream b is unknown, not required\n");
        assert_eq!(text(&["a-", "b"]), "ready\nupstream a is down\nupstream b is up\n");
        assert_eq!(text(&["a-", "b!-"]), "upstream a is down, not required\nupstream b is down\n");
        let draining = State { draining: true, ..state(&["a", "b-"]) };
        assert_eq!(draining.answer(None).1, "draining\nupstream a is up\nupstream b is down\n");
    }

    #[test]
    fn one_upstream_can_be_asked_for() {
        let mut state = state(&["a!", "b-"]);
        let list = "upstream a is up\nupstream b is down, not required\n";
        assert_eq!(state.answer(Some("a")), (StatusCode::OK, format!("ready\n{list}")));
        assert_eq!(state.answer(Some("b")), (StatusCode::SERVICE_UNAVAILABLE, list.to_owned()));
        for unknown in ["c", "", "A", "a!"] {
            assert_eq!(
                state.answer(Some(unknown)),
                (StatusCode::NOT_FOUND, format!("no such upstream\n{list}"))
            );
        }
        state.draining = true;
        assert_eq!(state.answer(Some("a")), (StatusCode::SERVICE_UNAVAILABLE, format!("draining\n{list}")));
    }

    #[test]
    fn another_node_that_is_down_is_a_line_and_one_with_the_same_name_a_reason() {
        let answer = |are_known, twin| {
            let nodes = Some(NodesState { are_known, twin, ..NodesState::default() });
            State { nodes, ..state(&["a"]) }.answer(None)
        };
        let ready = |text: &str| (StatusCode::OK, format!("ready\nupstream a is up\n{text}"));
        let not = |text: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("upstream a is up\n{text}"));
        assert_eq!(answer(true, None), ready(""));
        assert_eq!(answer(false, None), not("the other nodes are not known yet\n"));
        assert_eq!(answer(true, Some(true)), not("an older node has this node's name\n"));
        assert_eq!(answer(true, Some(false)), ready("a younger node has this node's name\n"));
    }

    #[test]
    fn a_directory_that_is_down_is_a_line_and_no_reason() {
        let nodes = Some(NodesState { are_known: true, is_directory_down: true, ..NodesState::default() });
        let answer = State { nodes, ..state(&["a"]) }.answer(None);
        assert_eq!(answer, (StatusCode::OK, "ready\nupstream a is up\nthe directory is down\n".to_owned()));
    }
}

//! Rules that put faults on the requests they match, and the choice among header, rules and chance.

use serde::{Deserialize, Serialize};

use super::{Chaos, Fault};

/// Rules kept at most.
const MOST_RULES: usize = 10_000;

/// What a request must be like; members left out match anything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultMatch {
    /// HTTP method, in any case.
    pub method: Option<String>,
    /// Part of the path and query, as sent.
    pub path_contains: Option<String>,
    /// API name of an object that the request names in its path, records, ids or query.
    pub object: Option<String>,
    /// A word of [`Operation`](crate::Operation), or `write` for any of its writes.
    pub op: Option<String>,
    /// Part of the body, as sent.
    pub body_contains: Option<String>,
}

/// A fault for the next requests that match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Which requests.
    #[serde(default, rename = "match")]
    pub matching: FaultMatch,
    /// What happens to them.
    pub fault: Fault,
    /// How many requests it hits; 1 unless given, `null` for all.
    #[serde(default = "once")]
    pub times: Option<u64>,
    /// Matching requests that are let through first.
    #[serde(default)]
    pub skip: u64,
}

fn once() -> Option<u64> {
    Some(1)
}

impl FaultRule {
    /// A rule that hits once.
    pub fn once(matching: FaultMatch, fault: Fault) -> Self {
        Self { matching, fault, times: once(), skip: 0 }
    }
}

/// A rule with what became of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RuleState {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) rule: FaultRule,
    /// Requests it has hit.
    pub(crate) hits: u64,
}

/// What rules see of a request.
#[derive(Debug)]
pub(crate) struct Subject<'r> {
    pub(crate) method: &'r str,
    pub(crate) target: &'r str,
    pub(crate) op: &'r str,
    pub(crate) objects: &'r [String],
    pub(crate) body: &'r [u8],
    pub(crate) header: Option<&'r str>,
}

/// The outcome of choosing.
pub(crate) type Chosen = Result<Option<Fault>, String>;

#[derive(Debug, Default)]
pub(crate) struct Faults {
    next: u64,
    rules: Vec<RuleState>,
    chaos: Option<Chaos>,
    draws: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, rule: FaultRule) -> Result<u64, String> {
        if self.rules.len() >= MOST_RULES {
            return Err(format!("more than {MOST_RULES} rules"));
        }
        self.next += 1;
        self.rules.push(RuleState { id: self.next, rule, hits: 0 });
        Ok(self.next)
    }

    pub(crate) fn list(&self) -> &[RuleState] {
        &self.rules
    }

    /// Drops one rule, or all.
    pub(crate) fn clear(&mut self, id: Option<u64>) {
        self.rules.retain(|r| id.is_some_and(|id| id != r.id));
    }

    /// Switches chance on (from draw 0) or off.
    pub(crate) fn set_chaos(&mut self, chaos: Option<Chaos>) {
        self.chaos = chaos;
        self.draws = 0;
    }

    pub(crate) fn chaos(&self) -> (Option<&Chaos>, u64) {
        (self.chaos.as_ref(), self.draws)
    }

    /// The header wins over rules, rules (oldest first) over chance.
    pub(crate) fn choose(&mut self, subject: &Subject<'_>) -> Chosen {
        if let Some(text) = subject.header {
            return Fault::from_header(text).map(Some);
        }
        for state in self.rules.iter_mut().filter(|s| s.rule.matching.fits(subject)) {
            if state.rule.skip > 0 {
                state.rule.skip -= 1;
                continue;
            }
            match &mut state.rule.times {
                Some(0) => continue,
                Some(left) => *left -= 1,
                None => {}
            }
            state.hits += 1;
            return Ok(Some(state.rule.fault.clone()));
        }
        let Some(chaos) = self.chaos.as_ref().filter(|c| is_write(subject.op) || c.reads && subject.op != "token")
        else {
            return Ok(None);
        };
        let drawn = chaos.draw(self.draws);
        self.draws += 1;
        Ok(drawn)
    }
}

fn is_write(op: &str) -> bool {
    matches!(op, "create" | "update" | "delete" | "upsert" | "composite")
}

impl FaultMatch {
    fn fits(&self, subject: &Subject<'_>) -> bool {
        let method = self.method.as_deref().is_none_or(|m| m.eq_ignore_ascii_case(subject.method));
        let path = self.path_contains.as_deref().is_none_or(|p| subject.target.contains(p));
        let object = self.object.as_deref().is_none_or(|o| subject.objects.iter().any(|s| s.eq_ignore_ascii_case(o)));
        let op = self.op.as_deref().is_none_or(|o| o == subject.op || (o == "write" && is_write(subject.op)));
        let body = self.body_contains.as_deref().is_none_or(|b| {
            let b = b.as_bytes();
            b.is_empty() || subject.body.windows(b.len()).any(|w| w == b)
        });
        method && path && object && op && body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject<'r>(op: &'r str, objects: &'r [String]) -> Subject<'r> {
        Subject {
            method: "POST",
            target: "/services/data/v62.0/composite/sobjects",
            op,
            objects,
            body: b"abc",
            header: None,
        }
    }

    #[test]
    fn rules_hit_as_often_as_asked_and_only_what_they_match() {
        let contact = ["Contact".to_owned()];
        let mut faults = Faults::default();
        let matching = FaultMatch {
            object: Some("contact".to_owned()),
            op: Some("write".to_owned()),
            body_contains: Some("bc".to_owned()),
            ..FaultMatch::default()
        };
        faults.add(FaultRule { matching, fault: Fault::LoseAnswer, times: Some(2), skip: 1 }).unwrap();
        assert_eq!(faults.choose(&subject("query", &contact)), Ok(None));
        assert_eq!(faults.choose(&subject("create", &["Account".to_owned()])), Ok(None));
        let hits: Vec<bool> = (0..4).map(|_| faults.choose(&subject("create", &contact)).unwrap().is_some()).collect();
        assert_eq!(hits, [false, true, true, false]);
        assert_eq!(faults.list()[0].hits, 2);
        faults.clear(Some(1));
        assert!(faults.list().is_empty());
    }

    #[test]
    fn the_header_wins_and_its_mistakes_are_named() {
        let mut faults = Faults::default();
        faults.set_chaos(Some(Chaos { reset: 1.0, ..Chaos::default() }));
        assert_eq!(
            faults.choose(&Subject { header: Some("hold"), ..subject("create", &[]) }),
            Ok(Some(Fault::Hold { applied: false }))
        );
        assert!(faults.choose(&Subject { header: Some("nonsense"), ..subject("create", &[]) }).is_err());
        assert_eq!(faults.choose(&subject("create", &[])), Ok(Some(Fault::Reset)));
        assert_eq!(faults.choose(&subject("query", &[])), Ok(None));
    }
}

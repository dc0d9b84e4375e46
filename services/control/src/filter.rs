//! Text from callers → something checked: filters, ids, page tokens, resume tokens.

use tonic::Status;
use upwrite_events::{MutationId, Phase, TableName};
use uuid::Uuid;

use crate::instant::micros;
use crate::v1;

const PHASES: [Phase; 10] = [
    Phase::Requested,
    Phase::Attempted,
    Phase::Deferred,
    Phase::Applied,
    Phase::Rejected,
    Phase::Partial,
    Phase::InDoubt,
    Phase::Revoked,
    Phase::Voided,
    Phase::Dead,
];

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// A filter that makes sense. `None`: does not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Filter {
    pub(crate) states: Option<Vec<String>>,
    pub(crate) table: Option<TableName>,
    pub(crate) user: Option<String>,
    /// Unix time, microseconds.
    pub(crate) since_us: Option<i64>,
}

impl Filter {
    pub(crate) fn parse(filter: Option<v1::MutationFilter>) -> Result<Self, Status> {
        let filter = filter.unwrap_or_default();
        if let Some(unknown) = filter.states.iter().find(|state| PHASES.iter().all(|phase| phase.as_str() != *state)) {
            let known: Vec<&str> = PHASES.iter().map(|phase| phase.as_str()).collect();
            let message = format!("states: {unknown:?} is none of {}", known.join(", "));
            return Err(Status::invalid_argument(message));
        }
        Ok(Self {
            states: (!filter.states.is_empty()).then_some(filter.states),
            table: filter.table.as_deref().map(table).transpose()?,
            user: filter.user,
            since_us: filter.since.as_ref().map(micros),
        })
    }

    pub(crate) fn has_state(&self, state: &str) -> bool {
        self.states.as_ref().is_none_or(|states| states.iter().any(|wanted| wanted == state))
    }
}

/// `<source>.<table>`
pub(crate) fn table(text: &str) -> Result<TableName, Status> {
    match text.split_once('.') {
        Some((source, table)) if !source.is_empty() && !table.is_empty() => Ok(TableName::new(source, table)),
        _ => Err(Status::invalid_argument(format!("table: {text:?} is not of the form source.table"))),
    }
}

pub(crate) fn mutation(text: &str) -> Result<MutationId, Status> {
    text.parse().map_err(|_| Status::invalid_argument(format!("id: {text:?} is not a mutation's id (a UUID)")))
}

pub(crate) fn page_size(asked: u32) -> u32 {
    if asked == 0 { PAGE_DEFAULT } else { asked.min(PAGE_MAX) }
}

/// Where a page ended: the last mutation on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageToken {
    pub(crate) requested_us: i64,
    pub(crate) id: Uuid,
}

impl PageToken {
    /// `None`: the first page.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, Status> {
        if text.is_empty() {
            return Ok(None);
        }
        let parts = text.strip_prefix("p1.").and_then(|rest| rest.split_once('.'));
        let token = parts
            .and_then(|(requested, id)| Some(Self { requested_us: requested.parse().ok()?, id: id.parse().ok()? }));
        token.map(Some).ok_or_else(|| Status::invalid_argument("page_token: not one that this server gave"))
    }
}

impl std::fmt::Display for PageToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p1.{}.{}", self.requested_us, self.id)
    }
}

/// Up to where a watch has sent everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResumeToken {
    /// What changed before has been sent. Unix time, microseconds, of the database.
    pub(crate) sent_us: i64,
    /// The oldest request that was not released at that time.
    pub(crate) oldest_us: i64,
}

impl ResumeToken {
    /// `None`: from now on.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, Status> {
        if text.is_empty() {
            return Ok(None);
        }
        let parts = text.strip_prefix("w1.").and_then(|rest| rest.split_once('.'));
        let token = parts
            .and_then(|(sent, oldest)| Some(Self { sent_us: sent.parse().ok()?, oldest_us: oldest.parse().ok()? }));
        token.map(Some).ok_or_else(|| Status::invalid_argument("resume_token: not one that this server gave"))
    }
}

impl std::fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "w1.{}.{}", self.sent_us, self.oldest_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let wrong = |filter| Filter::parse(Some(filter)).unwrap_err().message().to_owned();
        assert!(
            wrong(v1::MutationFilter { states: vec!["done".into()], ..Default::default() })
                .starts_with("states: \"done\"")
        );
        assert!(
            wrong(v1::MutationFilter { table: Some("contact".into()), ..Default::default() }).starts_with("table: ")
        );
        assert!(mutation("17").unwrap_err().message().starts_with("id: "));
        assert_eq!(Filter::parse(None).unwrap(), Filter::default());
    }

    #[test]
    fn every_phase_can_be_asked_for() {
        let states: Vec<String> = PHASES.iter().map(|phase| phase.as_str().to_owned()).collect();
        let filter = Filter::parse(Some(v1::MutationFilter { states: states.clone(), ..Default::default() })).unwrap();
        assert!(states.iter().all(|state| filter.has_state(state)));
    }

    #[test]
    fn tokens_there_and_back() {
        let page = PageToken { requested_us: 17, id: Uuid::from_u128(5) };
        assert_eq!(PageToken::parse(&page.to_string()).unwrap(), Some(page));
        let resume = ResumeToken { sent_us: 17, oldest_us: -3 };
        assert_eq!(ResumeToken::parse(&resume.to_string()).unwrap(), Some(resume));
        assert_eq!(PageToken::parse("").unwrap(), None);
        for foreign in ["x", "p1.", "p1.1.2", "w1.1.2", "p1.99999999999999999999.00000000-0000-0000-0000-000000000005"]
        {
            assert!(PageToken::parse(foreign).is_err(), "{foreign}");
        }
        assert!(ResumeToken::parse("p1.1.2").is_err());
    }
}

//! What waits to be sent, per source: lanes of rows that may travel together, served in the order of their heads.

use std::collections::{HashMap, VecDeque};

use upwrite_event_log::Moment;
use upwrite_events::{Op, TableName};

use super::JobId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Send,
    LookUp,
}

/// Rows of one lane may be in one call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LaneKey {
    pub(crate) table: TableName,
    pub(crate) op: Op,
    pub(crate) kind: Kind,
    /// Each ticket is a call of its own.
    pub(crate) own_call: bool,
}

/// Rows of one mutation that are to be in the same call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) job: JobId,
    pub(crate) rows: Vec<u32>,
    /// Distinguishes a ticket from an older one of the same mutation that was given up.
    pub(crate) generation: u64,
    pub(crate) queued: Moment,
}

/// The queues of one source. Bounded by the mutations at hand: each has at most one valid ticket.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: HashMap<LaneKey, VecDeque<(u64, Ticket)>>,
    next: u64,
}

impl Lanes {
    pub(crate) fn push(&mut self, key: LaneKey, ticket: Ticket) {
        self.next += 1;
        self.lanes.entry(key).or_default().push_back((self.next, ticket));
    }

    /// Valid tickets, and when the first of them was queued.
    pub(crate) fn waiting(&self, valid: impl Fn(&Ticket) -> bool) -> (usize, Option<Moment>) {
        let tickets = self.lanes.values().flatten().map(|(_, ticket)| ticket).filter(|ticket| valid(ticket));
        tickets.fold((0, None), |(count, oldest), ticket| {
            (count + 1, Some(oldest.map_or(ticket.queued, |oldest: Moment| oldest.min(ticket.queued))))
        })
    }

    /// Puts back what could not go, ahead of everything else, in its order.
    pub(crate) fn put_back(&mut self, key: LaneKey, tickets: Vec<Ticket>) {
        let lane = self.lanes.entry(key).or_default();
        for ticket in tickets.into_iter().rev() {
            lane.push_front((0, ticket));
        }
    }

    /// The next call: the oldest ticket, and what may travel with it up to `max_rows(lane)` rows. Tickets that are
    /// not `valid` any more are dropped.
    pub(crate) fn take(
        &mut self,
        max_rows: impl Fn(&LaneKey) -> usize,
        mut valid: impl FnMut(&Ticket) -> bool,
    ) -> Option<(LaneKey, Vec<Ticket>)> {
        for lane in self.lanes.values_mut() {
            while lane.front().is_some_and(|(_, ticket)| !valid(ticket)) {
                lane.pop_front();
            }
        }
        self.lanes.retain(|_, lane| !lane.is_empty());
        let head = |lane: &VecDeque<(u64, Ticket)>| lane.front().map(|(order, _)| *order);
        let key = self
            .lanes
            .iter()
            .min_by_key(|(key, lane)| (head(lane), &key.table, key.op, key.own_call))
            .map(|(key, _)| key.clone())?;
        let max = max_rows(&key);
        let lane = self.lanes.get_mut(&key)?;
        let mut tickets: Vec<Ticket> = lane.pop_front().map(|(_, ticket)| ticket).into_iter().collect();
        let mut rows: usize = tickets.iter().map(|ticket| ticket.rows.len()).sum();
        while !key.own_call
            && let Some((_, next)) = lane.front()
        {
            if valid(next) {
                if rows + next.rows.len() > max {
                    break;
                }
                rows += next.rows.len();
                tickets.extend(lane.pop_front().map(|(_, ticket)| ticket));
            } else {
                lane.pop_front();
            }
        }
        Some((key, tickets))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use upwrite_events::MutationId;
    use uuid::Uuid;

    use super::super::Term;
    use super::*;

    fn key(table: &str, own_call: bool) -> LaneKey {
        LaneKey { table: TableName::new("sf", table), op: Op::Insert, kind: Kind::Send, own_call }
    }

    fn ticket(id: u128) -> Ticket {
        let job = JobId { term: Term(0), mutation: MutationId(Uuid::from_u128(id)) };
        Ticket { job, rows: vec![0], generation: 0, queued: Moment(Duration::from_secs(id as u64)) }
    }

    fn take(lanes: &mut Lanes, max: usize) -> Vec<u128> {
        let taken = lanes.take(|_| max, |ticket| ticket.job.mutation.0.as_u128() != 13);
        taken.map_or(Vec::new(), |(_, tickets)| tickets.iter().map(|ticket| ticket.job.mutation.0.as_u128()).collect())
    }

    #[test]
    fn what_waits_at_the_same_time_travels_together() {
        let mut lanes = Lanes::default();
        lanes.push(key("a", false), ticket(1));
        lanes.push(key("b", false), ticket(2));
        for id in [3, 13, 4, 5] {
            lanes.push(key("a", false), ticket(id));
        }
        let (count, oldest) = lanes.waiting(|ticket| ticket.job.mutation.0.as_u128() != 1);
        assert_eq!((count, oldest), (5, Some(Moment(Duration::from_secs(2)))));
        assert_eq!(take(&mut lanes, 3), [1, 3, 4]);
        assert_eq!(take(&mut lanes, 3), [2]);
        assert_eq!(take(&mut lanes, 3), [5]);
        assert!(take(&mut lanes, 3).is_empty());
    }

    #[test]
    fn own_calls_stay_alone_and_what_is_put_back_comes_first() {
        let mut lanes = Lanes::default();
        lanes.push(key("a", true), ticket(1));
        lanes.push(key("a", true), ticket(2));
        assert_eq!(take(&mut lanes, 9), [1]);
        lanes.put_back(key("b", false), vec![ticket(7), ticket(8)]);
        assert_eq!(take(&mut lanes, 9), [7, 8]);
        assert_eq!(take(&mut lanes, 9), [2]);
    }
}
